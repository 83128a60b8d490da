import assert from 'node:assert/strict';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';

import { JournalFile } from '../../../../src/client/storage/journal-file.ts';
import { JournalKeeper } from '../../../../src/client/storage/journal-keeper.ts';
import { decodeJournal, type Journal } from '../../../../src/client/storage/journal.ts';
import { Bitmap } from '../../../../src/core/bitmap.ts';
import { scratchFolder } from './scratch.ts';

const CHUNKS = 6000;

interface Setup {
  readonly done: Bitmap;
  readonly keeper: JournalKeeper;
  readonly mark: (chunk: number) => void;
  readonly read: () => Promise<Journal>;
  /** Changes whenever a new journal takes the place of the old one. */
  readonly inode: () => Promise<number>;
}

async function setUp(t: TestContext, sync: () => Promise<void>): Promise<Setup> {
  const file = new JournalFile(join(await scratchFolder(t), 'journal'));
  const done = new Bitmap(CHUNKS);
  const said = { identity: { size: CHUNKS }, chunkSize: 1, boot: 'boot', extra: {} };
  await file.replace({ ...said, done }, () => []);
  const keeper = new JournalKeeper({
    file,
    done,
    safe: new Bitmap(CHUNKS),
    describe: () => said,
    sync,
  });
  t.after(async () => {
    await keeper.stop({ keep: false });
    await file.close();
  });
  return {
    done,
    keeper,
    mark: (chunk) => {
      if (done.add(chunk)) keeper.added(chunk);
    },
    read: async () => {
      const journal = decodeJournal(await readFile(file.path));
      assert.ok(journal, 'there is a whole good journal at any moment');
      return journal;
    },
    inode: async () => (await stat(file.path)).ino,
  };
}

const nothingToSync = (): Promise<void> => Promise.resolve();

function soon(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await soon(2);
}

test('a chunk is in the journal at once, before any sync', async (t) => {
  let syncs = 0;
  const { mark, read } = await setUp(t, async () => void syncs++);
  mark(7);
  mark(8);
  await until(async () => (await read()).tail.length === 2);
  assert.equal(syncs, 0);
});

test('a new journal is written once a second at most, however many chunks become done', async (t) => {
  const { mark, inode, read } = await setUp(t, nothingToSync);
  let replaced = 0;
  const began = performance.now();
  let last = await inode();
  for (let chunk = 0; performance.now() - began < 2_600; chunk++) {
    mark(chunk % CHUNKS);
    const now = await inode();
    if (now !== last) replaced++;
    last = now;
    await soon(1);
  }
  const seconds = (performance.now() - began) / 1000;
  assert.ok(replaced >= 1 && replaced <= seconds, `${replaced} in ${seconds} s`);
  const { done } = await read();
  assert.ok(done.count > 0);
});

test('a journal speaks as synced only of chunks that were done before the sync began', async (t) => {
  const gate = Promise.withResolvers<void>();
  const { mark, keeper, read } = await setUp(t, () => gate.promise);
  mark(1);
  const written = keeper.write();
  mark(2);
  await until(async () => (await read()).tail.length === 2);
  gate.resolve();
  await written;
  const journal = await read();
  assert.ok(journal.done.has(1) && !journal.done.has(2));
  assert.deepEqual(journal.tail, [2], 'what came during the sync is in the tail of the new journal');
});

test('a slow sync holds up neither chunks nor their place in the journal', async (t) => {
  const gate = Promise.withResolvers<void>();
  const { mark, keeper, read } = await setUp(t, () => gate.promise);
  mark(0);
  const written = keeper.write();
  for (let chunk = 1; chunk <= 5000; chunk++) mark(chunk);
  await until(async () => (await read()).tail.length === 5001);
  gate.resolve();
  await written;
  assert.equal((await read()).tail.length, 5000);
});

test('a write asked for during another speaks of everything done until it was asked for', async (t) => {
  const gate = Promise.withResolvers<void>();
  const { mark, keeper, read } = await setUp(t, () => gate.promise);
  mark(1);
  const first = keeper.write();
  mark(2);
  const second = keeper.write();
  const third = keeper.write();
  gate.resolve();
  await Promise.all([first, second, third]);
  assert.equal((await read()).done.count, 2);
});

test('data that could not be synced is never called done again, since a second sync would not tell', async (t) => {
  let failing = false;
  const { mark, keeper, read } = await setUp(t, async () => {
    if (failing) throw new Error('the device failed');
  });
  mark(1);
  await keeper.write();
  mark(2);
  await until(async () => (await read()).tail.length === 1);
  failing = true;
  await assert.rejects(keeper.write(), /device failed/);
  failing = false;
  mark(3);
  await assert.rejects(keeper.write(), /device failed/);
  await keeper.stop({ keep: true });
  const journal = await read();
  assert.equal(journal.done.count, 1);
  assert.ok(journal.done.has(1));
  assert.deepEqual(journal.tail, []);
  assert.match(String(keeper.failure), /device failed/);
});
