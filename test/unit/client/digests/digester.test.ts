import assert from 'node:assert/strict';
import { open, writeFile, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';

import { Digester } from '../../../../src/client/digests/digester.ts';
import { bytesAt, failure, scratchFolder, sha256 } from '../storage/scratch.ts';

async function fileOf(
  t: TestContext,
  bytes: Uint8Array,
): Promise<{ handle: FileHandle; digester: Digester }> {
  const path = join(await scratchFolder(t), 'file');
  await writeFile(path, bytes);
  const handle = await open(path, 'r+');
  const digester = new Digester(handle.fd, { threads: 2, path });
  t.after(async () => {
    await digester.close();
    await handle.close();
  });
  return { handle, digester };
}

test('pieces have the digests of their bytes, whatever their length and however many are asked for at once', async (t) => {
  const bytes = bytesAt(0, 3_000_000);
  const { digester } = await fileOf(t, bytes);
  const ends = [0, 1, 1, 262_143, 524_289, 1_048_576, 2_999_999, 3_000_000];
  const pieces = ends.slice(1).map((end, i) => [ends[i] ?? 0, end] as const);
  const digests = await Promise.all(pieces.map(([start, end]) => digester.chunk(start, end)));
  assert.deepEqual(
    digests,
    pieces.map(([start, end]) => sha256(bytes.subarray(start, end))),
  );
});

test('a digest is of what is in the file when it is asked for', async (t) => {
  const { handle, digester } = await fileOf(t, bytesAt(0, 1000));
  assert.equal(await digester.chunk(0, 1000), sha256(bytesAt(0, 1000)));
  await handle.write(bytesAt(0, 1000, 2), 0, 1000, 0);
  assert.equal(await digester.chunk(0, 1000), sha256(bytesAt(0, 1000, 2)));
});

test('the digest of the whole follows the front, and is there when the front is at the end', async (t) => {
  const size = 70_000_000;
  const bytes = Buffer.alloc(size, bytesAt(0, 65_537));
  const { digester } = await fileOf(t, bytes);
  const whole = digester.whole(size);
  const result = whole.result();
  for (const front of [1, 5_000_000, 4_000_000, 69_999_999]) {
    whole.advance(front);
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.ok(whole.hashed < size);
  whole.advance(size);
  assert.equal(await result, sha256(bytes));
  assert.equal(whole.hashed, size);
  assert.equal(await whole.result(), sha256(bytes));
});

test('bytes that are not final are not hashed', async (t) => {
  const { handle, digester } = await fileOf(t, Buffer.alloc(2000));
  const whole = digester.whole(2000);
  whole.advance(1000);
  while (whole.hashed < 1000) await new Promise((resolve) => setImmediate(resolve));
  await handle.write(bytesAt(1000, 1000), 0, 1000, 1000);
  whole.advance(2000);
  assert.equal(await whole.result(), sha256(Buffer.concat([Buffer.alloc(1000), bytesAt(1000, 1000)])));
});

test('after a restart the digest is of the new content, for whoever waits already too', async (t) => {
  const { handle, digester } = await fileOf(t, bytesAt(0, 3000));
  const whole = digester.whole(3000);
  const early = whole.result();
  whole.advance(2000);
  await handle.write(bytesAt(0, 3000, 2), 0, 3000, 0);
  whole.restart();
  whole.advance(3000);
  assert.equal(await early, sha256(bytesAt(0, 3000, 2)));

  await handle.write(bytesAt(0, 3000, 3), 0, 3000, 0);
  whole.restart(3000);
  assert.equal(await whole.result(), sha256(bytesAt(0, 3000, 3)));
});

test('the digest of an empty file needs no front', async (t) => {
  const { digester } = await fileOf(t, Buffer.alloc(0));
  assert.equal(await digester.whole(0).result(), sha256(Buffer.alloc(0)));
  assert.equal(await digester.chunk(0, 0), sha256(Buffer.alloc(0)));
});

test('bytes that cannot be read are a disk error, and the thread goes on', async (t) => {
  const { digester } = await fileOf(t, bytesAt(0, 1000));
  await assert.rejects(digester.chunk(500, 1500), failure('HW_DISK', 'ends at byte 1000'));
  const whole = digester.whole(1500);
  whole.advance(1500);
  await assert.rejects(whole.result(), failure('HW_DISK', 'file'));
  assert.equal(await digester.chunk(0, 1000), sha256(bytesAt(0, 1000)));
});

test('closing ends what is under way', async (t) => {
  const { digester } = await fileOf(t, Buffer.alloc(50_000_000));
  const whole = digester.whole(50_000_000);
  const waits = [digester.chunk(0, 50_000_000), digester.chunk(0, 50_000_000), whole.result()];
  const ends = Promise.all(waits.map((each) => assert.rejects(each, failure('HW_INTERRUPTED', 'stopped'))));
  await digester.close();
  await ends;
  await assert.rejects(whole.result(), failure('HW_INTERRUPTED', 'stopped'));
  await digester.close();
});
