import assert from 'node:assert/strict';
import { readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';

import { decodeJournal } from '../../../../src/client/storage/journal.ts';
import { openPartFile } from '../../../../src/client/storage/open-part-file.ts';
import type { PartFile } from '../../../../src/client/storage/part-file.ts';
import { ChunkLayout } from '../../../../src/core/chunks.ts';
import { bytesAt, scratchFolder } from './scratch.ts';

const SIZE = 10_500;
const layout = new ChunkLayout(SIZE, 1000);
const identity = { size: SIZE, sha256: 'a'.repeat(64) };

async function put(part: PartFile, chunks: Iterable<number>): Promise<void> {
  for (const chunk of chunks) {
    await part.write(bytesAt(layout.start(chunk), layout.bytes(chunk)), layout.start(chunk));
    part.markDone(chunk);
  }
}

async function begun(t: TestContext, chunks: readonly number[]): Promise<string> {
  const output = join(await scratchFolder(t), 'file');
  const part = await openPartFile({ output, identity, layout });
  await put(part, chunks);
  await part.close();
  return output;
}

/** Chunks that the journal on the disk calls done. */
async function claimed(output: string): Promise<number[]> {
  const journal = decodeJournal(await readFile(`${output}.hw-journal`));
  assert.ok(journal);
  for (const chunk of journal.tail) journal.done.add(chunk);
  return Array.from({ length: layout.count }, (_, i) => i).filter((i) => journal.done.has(i));
}

async function untilClaimed(output: string, chunk: number): Promise<void> {
  while (!(await claimed(output)).includes(chunk)) await new Promise((resolve) => setTimeout(resolve, 1));
}

test('the next run appends to the same journal: what becomes done waits for no sync', async (t) => {
  const output = await begun(t, [1, 2]);
  const { ino } = await stat(`${output}.hw-journal`);
  const part = await openPartFile({ output, identity, layout });
  await put(part, [5]);
  await untilClaimed(output, 5);
  assert.equal((await stat(`${output}.hw-journal`)).ino, ino, 'no new journal was needed for it');
  assert.deepEqual(await claimed(output), [1, 2, 5]);
  await part.close();
  const again = await openPartFile({ output, identity, layout });
  assert.equal(again.done.count, 3);
  await again.close();
});

test('what a journal claims and is not there is out of it before the part file has its length again', async (t) => {
  const output = await begun(t, [1, 2, 9]);
  await truncate(`${output}.hw-part`, 2999);
  const part = await openPartFile({ output, identity, layout });
  // As a run finds it that starts after this one was killed now.
  assert.deepEqual(await claimed(output), [1]);
  await part.close();
});

test('in another cut of the file, the journal speaks of that cut at once', async (t) => {
  const output = await begun(t, [0, 1, 2, 10]);
  const other = new ChunkLayout(SIZE, 2000);
  const part = await openPartFile({ output, identity, layout: other });
  const journal = decodeJournal(await readFile(`${output}.hw-journal`));
  assert.equal(journal?.chunkSize, 2000);
  assert.deepEqual([journal?.done.has(0), journal?.done.has(5), journal?.done.count], [true, true, 2]);
  await part.close();
});

test('an earlier run that has nothing stands in the way of no other file', async (t) => {
  const output = join(await scratchFolder(t), 'file');
  const part = await openPartFile({ output, identity, layout });
  // As if it had been killed here.
  const path = `${output}.hw-part`;
  await part.flush();
  const journal = await readFile(`${output}.hw-journal`);
  await part.close();
  await writeFile(`${output}.hw-journal`, journal);
  await writeFile(path, Buffer.alloc(SIZE));
  const other = await openPartFile({
    output,
    identity: { size: 7, sha256: 'b'.repeat(64) },
    layout: new ChunkLayout(7),
  });
  assert.equal((await stat(path)).size, 7);
  await other.close();
});

test('dropping all that is there takes it out of the journal, doubtful chunks too', async (t) => {
  const output = await begun(t, [1, 2]);
  const part = await openPartFile({ output, identity: { ...identity, manifest: 'c'.repeat(64) }, layout });
  assert.deepEqual(part.resumed.doubtful, [1, 2]);
  assert.deepEqual(await claimed(output), [1, 2]);
  await part.reset();
  assert.deepEqual(await claimed(output), []);
  await part.close();
});
