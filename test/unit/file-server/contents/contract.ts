import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { it } from 'node:test';

import type { ContentStore, OpenedFile } from '../../../../src/file-server/store.ts';

const MIB = 1024 * 1024;

/** A store of contents, as the suite works with it. Whoever made it disposes of it. */
export interface StoreUnderTest extends AsyncDisposable {
  readonly store: ContentStore;
  /** Puts a content there, cut into chunks of 1 MiB; gives the digest of its manifest. */
  add(bytes: Buffer): Promise<string>;
  /** A chunk of it turned out to be bad. */
  lose(manifest: string, chunk: number): Promise<void>;
  /** It is not there any more. */
  remove(manifest: string): Promise<void>;
}

/** What every store of contents has to do. */
export function holdsContents(make: () => Promise<StoreUnderTest>): void {
  it('gives every byte of a content, wherever reading begins', async () => {
    await using made = await make();
    const bytes = randomBytes(3 * MIB + 4567);
    const content = await made.store.openContent(await made.add(bytes));
    assert.ok(content);
    try {
      assert.equal(content.layout.size, bytes.length);
      assert.equal(content.layout.count, 4);
      assert.equal(content.file.size, bytes.length);
      assert.deepEqual(content.missing, []);
      for (const [start, end] of [
        [0, bytes.length],
        [MIB - 1, MIB + 1],
        [2 * MIB, 3 * MIB],
        [3 * MIB + 1, bytes.length],
        [5, 6],
      ] as const) {
        assert.deepEqual(await readRange(content.file, start, end), bytes.subarray(start, end));
      }
      assert.equal(content.file.unchanged(), true);
    } finally {
      content.file.close();
    }
  });

  it('gives nothing past the end', async () => {
    await using made = await make();
    const content = await made.store.openContent(await made.add(randomBytes(MIB + 10)));
    assert.ok(content);
    assert.equal((await readOnce(content.file, 100, MIB + 10)).length, 0);
    assert.equal((await readOnce(content.file, 100, 5 * MIB)).length, 0);
    content.file.close();
  });

  it('serves the same content to several at once', async () => {
    await using made = await make();
    const bytes = randomBytes(2 * MIB);
    const manifest = await made.add(bytes);
    const all = Array.from({ length: 8 }, async () => {
      const content = await made.store.openContent(manifest);
      assert.ok(content);
      const read = await readRange(content.file, 0, bytes.length);
      content.file.close();
      return read;
    });
    for (const each of await Promise.all(all)) assert.deepEqual(each, bytes);
  });

  it('says which chunks are not there, and gives the others', async () => {
    await using made = await make();
    const bytes = randomBytes(3 * MIB);
    const manifest = await made.add(bytes);
    await made.lose(manifest, 1);
    const content = await made.store.openContent(manifest);
    assert.ok(content);
    assert.deepEqual(content.missing, [1]);
    assert.deepEqual(await readRange(content.file, 2 * MIB, 3 * MIB), bytes.subarray(2 * MIB));
    content.file.close();
  });

  it('knows nothing of what is not there, and of what is there no more', async () => {
    await using made = await make();
    assert.equal(await made.store.openContent('0'.repeat(64)), undefined);
    const manifest = await made.add(randomBytes(MIB));
    await made.remove(manifest);
    assert.equal(await made.store.openContent(manifest), undefined);
  });

  it('holds an empty content', async () => {
    await using made = await make();
    const content = await made.store.openContent(await made.add(Buffer.alloc(0)));
    assert.ok(content);
    assert.equal(content.file.size, 0);
    assert.deepEqual(content.missing, []);
    content.file.close();
  });
}

async function readRange(file: OpenedFile, start: number, end: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (let position = start; position < end;) {
    const part = await readOnce(file, Math.min(700_000, end - position), position);
    assert.ok(part.length > 0);
    parts.push(part);
    position += part.length;
  }
  return Buffer.concat(parts);
}

function readOnce(file: OpenedFile, length: number, position: number): Promise<Buffer> {
  const block = Buffer.alloc(length);
  return new Promise((resolve, reject) => {
    file.read(block, length, position, (error, bytes) => {
      if (error === null) resolve(block.subarray(0, bytes));
      else reject(error);
    });
  });
}
