import assert from 'node:assert/strict';
import { appendFile, chmod, rm, truncate, utimes } from 'node:fs/promises';
import { describe, test } from 'node:test';

import { ChunkLayout, MIB } from '../../../../src/core/chunks.ts';
import { parseManifest } from '../../../../src/core/manifest.ts';
import { DigestCache } from '../../../../src/file-server/digests/digest-cache.ts';
import { DigestService } from '../../../../src/file-server/digests/digest-service.ts';
import { readManifest } from '../../../../src/file-server/read-manifest.ts';
import { Scratch, identify, sha256, type ScratchFile } from './scratch.ts';

function service(cache?: DigestCache, atOnce = 1) {
  const faults: unknown[] = [];
  const made = new DigestService({ cache, atOnce, onFault: (error) => faults.push(error) });
  return Object.assign(made, {
    faults,
    [Symbol.asyncDispose]: () => made.close(),
  });
}

async function begun(digests: DigestService): Promise<void> {
  while (digests.state.bytesDone === 0) await new Promise((resolve) => setImmediate(resolve));
}

function expectDigestsOf({ bytes }: ScratchFile, found: unknown): void {
  assert.ok(typeof found === 'object' && found !== null && 'manifestText' in found);
  const manifest = parseManifest(String(found.manifestText), 'the test');
  const layout = new ChunkLayout(bytes.length);
  assert.equal(manifest.size, bytes.length);
  assert.equal(manifest.chunkSize, layout.chunkSize);
  assert.equal(manifest.sha256, sha256(bytes));
  const chunks = Array.from({ length: layout.count }, (_, index) =>
    sha256(bytes.subarray(layout.start(index), layout.end(index))),
  );
  assert.deepEqual(manifest.chunks, chunks);
}

describe('digests', () => {
  for (const size of [0, 1, MIB - 1, MIB, MIB + 1, 7 * MIB + 12_345]) {
    test(`of ${size} bytes are right`, async () => {
      await using scratch = await Scratch.make();
      await using digests = service();
      const file = await scratch.file('a', size);
      expectDigestsOf(file, await digests.find(file.path, file.identity, false));
      assert.deepEqual(digests.faults, []);
    });
  }

  test('of many files are right, one after another and several at once', async () => {
    await using scratch = await Scratch.make();
    await using digests = service(undefined, 3);
    const sizes = Array.from({ length: 20 }, (_, index) => index * 137_000);
    const files = await Promise.all(sizes.map((size, index) => scratch.file(`f${index}`, size)));
    const found = await Promise.all(files.map((each) => digests.find(each.path, each.identity, false)));
    for (const [index, each] of files.entries()) expectDigestsOf(each, found[index]);
    assert.equal(digests.state.filesDone, 20);
    assert.equal(digests.state.bytesDone, digests.state.bytes);
  });

  test('come from the cache without reading the file', async () => {
    await using scratch = await Scratch.make();
    const cache = new DigestCache(scratch.path('cache'));
    const file = await scratch.file('a', 100_000);
    {
      await using digests = service(cache);
      await digests.find(file.path, file.identity, false);
    }
    await using digests = service(cache);
    // What is not there any more cannot be read.
    await rm(file.path);
    expectDigestsOf(file, await digests.find(file.path, file.identity, false));
    assert.equal(digests.state.bytes, 0);
  });

  test('that somebody waits for come before all others', async () => {
    await using scratch = await Scratch.make();
    await using digests = service();
    const large = await scratch.file('large', 64 * MIB);
    const others = await Promise.all([1, 2, 3].map((each) => scratch.file(`other${each}`, 8 * MIB)));
    const wanted = await scratch.file('wanted', MIB);
    const order: string[] = [];
    const find = async (file: ScratchFile, urgent: boolean) => {
      await digests.find(file.path, file.identity, urgent);
      order.push(file.path);
    };
    const all = [large, ...others, wanted].map((each) => find(each, false));
    await find(wanted, true);
    assert.deepEqual([...new Set(order)], [wanted.path]);
    await Promise.all(all);
    assert.equal(new Set(order).size, 5);
  });

  test('of a file that is no longer as it was are not given', async () => {
    await using scratch = await Scratch.make();
    await using digests = service();
    const file = await scratch.file('a', 100);
    await appendFile(file.path, 'x');
    assert.equal(await digests.find(file.path, file.identity, false), 'changed');
    assert.equal(digests.known(file.path, file.identity), undefined);
  });

  for (const [how, change] of [
    ['grows', (path: string) => appendFile(path, 'x')],
    ['shrinks', (path: string) => truncate(path, 1)],
    ['is touched', (path: string) => utimes(path, 1, 1)],
  ] as const) {
    test(`of a file that ${how} while it is read are not given`, async () => {
      await using scratch = await Scratch.make();
      await using digests = service();
      const { path, identity } = await scratch.longFile('a');
      const finding = digests.find(path, identity, false);
      await begun(digests);
      await change(path);
      assert.equal(await finding, 'changed');
      await truncate(path, 100);
      assert.equal(typeof (await digests.find(path, await identify(path), false)), 'object');
    });
  }

  test('of a file that cannot be read are a fault, and the next file is none the worse', async () => {
    await using scratch = await Scratch.make();
    await using digests = service();
    const file = await scratch.file('a', 10);
    const next = await scratch.file('b', 10);
    await rm(file.path);
    const found = await digests.find(file.path, file.identity, false);
    assert.ok(typeof found === 'object' && 'error' in found);
    assert.equal(found.error.code, 'HW_DISK');
    assert.deepEqual(digests.faults, [found.error]);
    // Asked again at once, it is not tried again.
    assert.equal(await digests.find(file.path, file.identity, true), found);
    assert.equal(digests.faults.length, 1);
    expectDigestsOf(next, await digests.find(next.path, next.identity, false));
  });

  test('are given even when they cannot be kept', async () => {
    await using scratch = await Scratch.make();
    const file = await scratch.file('a', 10);
    await using digests = service(new DigestCache(file.path));
    expectDigestsOf(file, await digests.find(file.path, file.identity, false));
    assert.equal(digests.faults.length, 1);
  });

  test('are given up when the service is closed', async () => {
    await using scratch = await Scratch.make();
    const digests = service();
    const { path, identity } = await scratch.longFile('a');
    const finding = digests.find(path, identity, false);
    await begun(digests);
    await digests.close();
    assert.equal(await finding, 'closed');
    assert.equal(await digests.find(path, identity, true), 'closed');
  });
});

describe('readManifest', () => {
  test('gives the manifest of a file, tells its progress, and keeps it', async () => {
    await using scratch = await Scratch.make();
    const cache = scratch.path('cache');
    const file = await scratch.file('a', 3 * MIB + 1);
    const manifest = await readManifest(file.path, { cache });
    assert.equal(manifest.sha256, sha256(file.bytes));
    assert.equal(manifest.chunks.length, 4);
    assert.deepEqual(await new DigestCache(cache).load(file.path, file.identity), manifest);
  });

  test('refuses what is no file', async () => {
    await using scratch = await Scratch.make();
    await assert.rejects(readManifest(scratch.folder, { cache: false }), { code: 'HW_DISK' });
    await assert.rejects(readManifest(scratch.path('none'), { cache: false }), { code: 'HW_DISK' });
  });

  test('can be stopped', async () => {
    await using scratch = await Scratch.make();
    const file = await scratch.longFile('a');
    const stopped = { code: 'HW_INTERRUPTED' };
    await assert.rejects(readManifest(file.path, { cache: false, signal: AbortSignal.abort() }), stopped);
    const controller = new AbortController();
    const reading = readManifest(file.path, { cache: false, signal: controller.signal });
    setImmediate(() => controller.abort());
    await assert.rejects(reading, stopped);
  });

  test('refuses a file that may not be read', async (t) => {
    if (process.getuid?.() === 0) return t.skip('root may read anything');
    await using scratch = await Scratch.make();
    const file = await scratch.file('a', 10);
    await chmod(file.path, 0);
    await assert.rejects(readManifest(file.path, { cache: false }), { code: 'HW_DISK' });
  });
});
