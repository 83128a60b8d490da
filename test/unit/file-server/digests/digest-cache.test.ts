import assert from 'node:assert/strict';
import { chmod, readFile, readdir, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import { MANIFEST_VERSION, type Manifest } from '../../../../src/core/manifest.ts';
import { DigestCache, defaultCacheFolder } from '../../../../src/file-server/digests/digest-cache.ts';
import { Scratch } from './scratch.ts';

const DAY = 24 * 3600;
const IDENTITY = { size: 3n, inode: 7n, modifiedNs: 1_000_000_001n, changedNs: 1_000_000_002n };
const PATH = '/a/b c ü';

function manifest(digit: string): Manifest {
  const sha256 = digit.repeat(64);
  return { version: MANIFEST_VERSION, size: 3, chunkSize: 1_048_576, sha256, chunks: [sha256] };
}

async function onlyEntry(folder: string): Promise<string> {
  const names = await readdir(join(folder, 'digests'));
  assert.equal(names.length, 1);
  return join(folder, 'digests', names[0] ?? '');
}

describe('kept digests', () => {
  test('are found again by another run', async () => {
    await using scratch = await Scratch.make();
    await new DigestCache(scratch.folder).save(PATH, IDENTITY, manifest('a'));
    assert.deepEqual(await new DigestCache(scratch.folder).load(PATH, IDENTITY), manifest('a'));
  });

  test('are of no use once the file is another', async () => {
    await using scratch = await Scratch.make();
    const cache = new DigestCache(scratch.folder);
    await cache.save(PATH, IDENTITY, manifest('a'));
    for (const key of ['size', 'inode', 'modifiedNs', 'changedNs'] as const) {
      assert.equal(await cache.load(PATH, { ...IDENTITY, [key]: IDENTITY[key] + 1n }), undefined, key);
    }
    assert.equal(await cache.load(`${PATH}2`, IDENTITY), undefined);
  });

  test('are missing when the entry was torn, wherever', async () => {
    await using scratch = await Scratch.make();
    const cache = new DigestCache(scratch.folder);
    await cache.save(PATH, IDENTITY, manifest('a'));
    const entry = await onlyEntry(scratch.folder);
    const whole = await readFile(entry);
    // The last byte is a line feed, without which the entry is still whole.
    for (let length = 0; length < whole.length - 1; length++) {
      await writeFile(entry, whole.subarray(0, length));
      assert.equal(await cache.load(PATH, IDENTITY), undefined, `${length} bytes`);
    }
    await writeFile(entry, whole);
    assert.deepEqual(await cache.load(PATH, IDENTITY), manifest('a'));
  });

  test('in an entry of another version, or of any other form, are missing', async () => {
    await using scratch = await Scratch.make();
    const cache = new DigestCache(scratch.folder);
    await cache.save(PATH, IDENTITY, manifest('a'));
    const entry = await onlyEntry(scratch.folder);
    const whole = JSON.parse(await readFile(entry, 'utf8')) as object;
    for (const other of [{ version: 2 }, { path: 7 }, { state: '' }, { manifest: [] }, { more: true }]) {
      await writeFile(entry, JSON.stringify({ ...whole, ...other }));
      assert.equal(await cache.load(PATH, IDENTITY), undefined, JSON.stringify(other));
    }
    for (const text of ['null', '[]', '7', '{}']) {
      await writeFile(entry, text);
      assert.equal(await cache.load(PATH, IDENTITY), undefined, text);
    }
    await writeFile(entry, JSON.stringify(whole));
    assert.deepEqual(await cache.load(PATH, IDENTITY), manifest('a'));
  });

  test('that do not fit the file are missing', async () => {
    await using scratch = await Scratch.make();
    const cache = new DigestCache(scratch.folder);
    await cache.save(PATH, IDENTITY, { ...manifest('a'), size: 4 });
    assert.equal(await cache.load(PATH, IDENTITY), undefined);
  });

  test('can be written by many at once, and are always whole', async () => {
    await using scratch = await Scratch.make();
    const writers = Array.from({ length: 8 }, (_, index) => manifest(String(index)));
    const written = new AbortController();
    const reading = (async () => {
      const cache = new DigestCache(scratch.folder);
      let seen = 0;
      while (!written.signal.aborted) if ((await cache.load(PATH, IDENTITY)) !== undefined) seen++;
      return seen;
    })();
    await writers.reduce(async (before, each) => {
      await before;
      await Promise.all(writers.map(() => new DigestCache(scratch.folder).save(PATH, IDENTITY, each)));
    }, Promise.resolve());
    written.abort();
    assert.ok((await reading) > 0);
    assert.deepEqual(await new DigestCache(scratch.folder).load(PATH, IDENTITY), manifest('7'));
    await onlyEntry(scratch.folder);
  });

  test('that nobody used for long are removed, others stay', async () => {
    await using scratch = await Scratch.make();
    const cache = new DigestCache(scratch.folder);
    await cache.save('/old', IDENTITY, manifest('a'));
    const old = await onlyEntry(scratch.folder);
    await cache.save('/new', IDENTITY, manifest('b'));
    await writeFile(`${old}.draft`, 'of a process that died');
    const longAgo = Date.now() / 1000 - 91 * DAY;
    await utimes(old, longAgo, longAgo);
    await utimes(`${old}.draft`, longAgo, longAgo);
    await cache.prune();
    assert.equal(await cache.load('/old', IDENTITY), undefined);
    assert.deepEqual(await cache.load('/new', IDENTITY), manifest('b'));
    await onlyEntry(scratch.folder);
  });

  test('that are used are not old', async () => {
    await using scratch = await Scratch.make();
    const cache = new DigestCache(scratch.folder);
    await cache.save(PATH, IDENTITY, manifest('a'));
    const entry = await onlyEntry(scratch.folder);
    const longAgo = Date.now() / 1000 - 91 * DAY;
    await utimes(entry, longAgo, longAgo);
    await cache.load(PATH, IDENTITY);
    await cache.prune();
    assert.deepEqual(await cache.load(PATH, IDENTITY), manifest('a'));
  });

  test('are for their owner only', async () => {
    await using scratch = await Scratch.make();
    await new DigestCache(scratch.folder).save(PATH, IDENTITY, manifest('a'));
    const { mode } = await stat(join(scratch.folder, 'digests'));
    assert.equal(mode & 0o077, 0);
  });

  test('stay where they were when a new entry cannot be written', async (t) => {
    if (process.getuid?.() === 0) return t.skip('root may write anywhere');
    await using scratch = await Scratch.make();
    const cache = new DigestCache(scratch.folder);
    await cache.save(PATH, IDENTITY, manifest('a'));
    await chmod(join(scratch.folder, 'digests'), 0o500);
    await assert.rejects(cache.save(PATH, IDENTITY, manifest('b')));
    assert.deepEqual(await cache.load(PATH, IDENTITY), manifest('a'));
    await chmod(join(scratch.folder, 'digests'), 0o700);
  });

  test('may be emptied by hand', async () => {
    await using scratch = await Scratch.make();
    const cache = new DigestCache(scratch.folder);
    await cache.save(PATH, IDENTITY, manifest('a'));
    await truncate(await onlyEntry(scratch.folder));
    await cache.save(PATH, IDENTITY, manifest('b'));
    assert.deepEqual(await cache.load(PATH, IDENTITY), manifest('b'));
  });
});

describe('the cache folder', () => {
  test('follows XDG_CACHE_HOME when that is an absolute path', () => {
    const before = process.env['XDG_CACHE_HOME'];
    try {
      process.env['XDG_CACHE_HOME'] = '/x/cache';
      assert.equal(defaultCacheFolder(), '/x/cache/headwater');
      process.env['XDG_CACHE_HOME'] = 'relative';
      assert.match(defaultCacheFolder(), /^\/.*\/\.cache\/headwater$/);
    } finally {
      if (before === undefined) delete process.env['XDG_CACHE_HOME'];
      else process.env['XDG_CACHE_HOME'] = before;
    }
  });
});
