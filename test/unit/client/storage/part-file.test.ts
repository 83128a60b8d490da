import assert from 'node:assert/strict';
import { link, lstat, readdir, readFile, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';

import { decodeJournal, encodeSnapshot, encodeTail } from '../../../../src/client/storage/journal.ts';
import { openPartFile, type OpenPartFileOptions } from '../../../../src/client/storage/open-part-file.ts';
import type { PartFile } from '../../../../src/client/storage/part-file.ts';
import { ChunkLayout } from '../../../../src/core/chunks.ts';
import { bytesAt, failure, scratchFolder } from './scratch.ts';

const SIZE = 10_500;
const layout = new ChunkLayout(SIZE, 1000);
const A = { size: SIZE, sha256: 'a'.repeat(64) };
const B = { size: SIZE, sha256: 'b'.repeat(64) };

async function put(part: PartFile, chunks: Iterable<number>, seed = 1): Promise<void> {
  for (const chunk of chunks) {
    await part.write(bytesAt(layout.start(chunk), layout.bytes(chunk), seed), layout.start(chunk));
    part.markDone(chunk);
  }
}

/** A folder in which a run began file A and got the given chunks. */
async function begun(
  t: TestContext,
  chunks: readonly number[],
  options: Partial<OpenPartFileOptions> = {},
): Promise<{ folder: string; output: string }> {
  const folder = await scratchFolder(t);
  const output = join(folder, 'file');
  const part = await openPartFile({ output, identity: A, layout, ...options });
  await put(part, chunks);
  await part.close();
  return { folder, output };
}

async function contents(folder: string): Promise<Record<string, string>> {
  const all: Record<string, string> = {};
  for (const name of await readdir(folder))
    all[name] = (await readFile(join(folder, name))).toString('base64');
  return all;
}

function doneOf(part: PartFile): number[] {
  return Array.from({ length: part.done.length }, (_, i) => i).filter((i) => part.done.has(i));
}

test('a file that is filled out of order gets its name when it is whole, and nothing else is left', async (t) => {
  const folder = await scratchFolder(t);
  const output = join(folder, 'a file – ünïcode');
  const part = await openPartFile({ output, identity: A, layout });
  assert.equal(part.resumed.likeness, 'new');
  await put(part, [10, 3, 0]);
  await part.flush();
  assert.deepEqual((await readdir(folder)).map((name) => name.slice('a file – ünïcode'.length)).sort(), [
    '.hw-journal',
    '.hw-lock',
    '.hw-part',
  ]);
  await put(part, [1, 2, 4, 5, 6, 7, 8, 9]);
  await part.finish();
  await part.close();
  assert.deepEqual(await readdir(folder), ['a file – ünïcode']);
  assert.deepEqual(await readFile(output), bytesAt(0, SIZE));
});

test('a chunk marked twice counts once', async (t) => {
  const { output } = await begun(t, [1]);
  const part = await openPartFile({ output, identity: A, layout });
  assert.equal(part.markDone(1), false);
  assert.equal(part.markDone(2), true);
  assert.equal(part.done.count, 2);
  await part.close();
});

test('several buffers are written one after another, empty ones among them', async (t) => {
  const { output } = await begun(t, []);
  const part = await openPartFile({ output, identity: A, layout });
  const bytes = bytesAt(1000, 1000);
  await part.write(
    [bytes.subarray(0, 1), bytes.subarray(1, 1), bytes.subarray(1, 700), bytes.subarray(700)],
    1000,
  );
  await part.write([], 5);
  assert.deepEqual((await readFile(part.path)).subarray(1000, 2000), bytes);
  await part.close();
});

test('an empty file is whole at once', async (t) => {
  const folder = await scratchFolder(t);
  const output = join(folder, 'empty');
  const part = await openPartFile({ output, identity: { size: 0 }, layout: new ChunkLayout(0) });
  await part.finish();
  assert.equal((await stat(output)).size, 0);
  assert.deepEqual(await readdir(folder), ['empty']);
});

test('a file with chunks missing is not given its name', async (t) => {
  const { output } = await begun(t, [1]);
  const part = await openPartFile({ output, identity: A, layout });
  await assert.rejects(part.finish(), failure('HW_INTERNAL', '10 chunks missing'));
  await part.close();
  await assert.rejects(stat(output));
});

test('the next run goes on with what the last one had, and finds what it remembered', async (t) => {
  const { output } = await begun(t, [1, 10], { extra: () => ({ from: ['http://a/'] }) });
  const part = await openPartFile({ output, identity: A, layout });
  assert.equal(part.resumed.likeness, 'same');
  assert.deepEqual(part.resumed.extra, { from: ['http://a/'] });
  assert.deepEqual(part.resumed.identity, A);
  assert.deepEqual(doneOf(part), [1, 10]);
  await put(part, [0, 2, 3, 4, 5, 6, 7, 8, 9]);
  await part.finish();
  assert.deepEqual(await readFile(output), bytesAt(0, SIZE));
});

test('a run that got nothing leaves nothing', async (t) => {
  const { folder } = await begun(t, []);
  assert.deepEqual(await readdir(folder), []);
});

test('closing twice, or after the end, does nothing', async (t) => {
  const { output } = await begun(t, [1]);
  const part = await openPartFile({ output, identity: A, layout });
  await Promise.all([part.close(), part.close()]);
  await part.close();
  await assert.rejects(part.write(bytesAt(0, 1), 0), failure('HW_INTERNAL', 'closed'));
});

test('an output that is there is refused, and replaced only by force', async (t) => {
  const { folder, output } = await begun(t, [1]);
  await writeFile(output, 'precious');
  const before = await contents(folder);
  await assert.rejects(openPartFile({ output, identity: A, layout }), failure('HW_OUTPUT_EXISTS', output));
  assert.deepEqual(await contents(folder), before);

  const part = await openPartFile({ output, identity: A, layout, force: true });
  assert.deepEqual(doneOf(part), [1], 'force does not throw away what fits');
  await put(part, Array(11).keys());
  assert.equal(await readFile(output, 'utf8'), 'precious', 'until the end');
  await part.finish();
  assert.deepEqual(await readFile(output), bytesAt(0, SIZE));
});

test('an output that appears while the download runs is not replaced, and nothing is lost', async (t) => {
  const { output } = await begun(t, [1]);
  const part = await openPartFile({ output, identity: A, layout });
  await put(part, Array(11).keys());
  await writeFile(output, 'precious');
  await assert.rejects(part.finish(), failure('HW_OUTPUT_EXISTS', output));
  await part.close();
  assert.equal(await readFile(output, 'utf8'), 'precious');

  const again = await openPartFile({ output, identity: A, layout, force: true });
  assert.equal(again.done.count, 11);
  await again.finish();
  assert.deepEqual(await readFile(output), bytesAt(0, SIZE));
});

test('a run killed between giving the name and cleaning up leaves nothing after the next', async (t) => {
  const { folder, output } = await begun(t, [1]);
  const part = await openPartFile({ output, identity: A, layout });
  await put(part, Array(11).keys());
  await part.close();
  await link(part.path, output);
  await assert.rejects(openPartFile({ output, identity: A, layout }), failure('HW_OUTPUT_EXISTS', output));
  assert.deepEqual(await readdir(folder), ['file']);
  assert.deepEqual(await readFile(output), bytesAt(0, SIZE));
});

test('a folder or a device is never replaced, not even by force; a link that leads nowhere is something that is there', async (t) => {
  const folder = await scratchFolder(t);
  for (const output of [folder, '/dev/null']) {
    await assert.rejects(
      openPartFile({ output, identity: A, layout, force: true }),
      failure('HW_DISK', output),
    );
  }
  const dangling = join(folder, 'link');
  await symlink('nowhere', dangling);
  await assert.rejects(
    openPartFile({ output: dangling, identity: A, layout }),
    failure('HW_OUTPUT_EXISTS', dangling),
  );
  assert.ok((await lstat(dangling)).isSymbolicLink());
});

test('an earlier run of another file is refused and stays untouched; force starts anew', async (t) => {
  const { folder, output } = await begun(t, [1, 2]);
  const before = await contents(folder);
  const longer = { output, identity: { size: SIZE + 1 }, layout: new ChunkLayout(SIZE + 1, 1000) };
  await assert.rejects(
    openPartFile({ output, identity: B, layout }),
    failure('HW_FILE_CHANGED', `${output}.hw-part`),
  );
  await assert.rejects(openPartFile(longer), failure('HW_FILE_CHANGED', '10501 bytes where it had 10500'));
  assert.deepEqual(await contents(folder), before);

  const part = await openPartFile({ output, identity: B, layout, force: true });
  assert.equal(part.resumed.likeness, 'new');
  assert.deepEqual(doneOf(part), []);
  assert.deepEqual(await readFile(part.path), Buffer.alloc(SIZE), 'no byte of the other file');
  await part.close();
});

test('without resume nothing of an earlier run is used', async (t) => {
  const { output } = await begun(t, [1, 2]);
  const part = await openPartFile({ output, identity: A, layout, resume: false });
  assert.deepEqual(doneOf(part), []);
  assert.deepEqual(await readFile(part.path), Buffer.alloc(SIZE));
  await part.close();
});

test('where no digest tells, the caller gets to see and may drop it all', async (t) => {
  const { folder, output } = await begun(t, [1, 2]);
  const before = await contents(folder);
  const seen = await openPartFile({ output, identity: { size: SIZE }, layout });
  assert.equal(seen.resumed.likeness, 'unknown');
  assert.deepEqual(doneOf(seen), [1, 2]);
  await seen.close();
  assert.deepEqual(await contents(folder), before, 'looking changes nothing');

  const part = await openPartFile({ output, identity: { size: SIZE }, layout });
  await part.reset();
  assert.deepEqual(doneOf(part), []);
  assert.deepEqual(await readFile(part.path), Buffer.alloc(SIZE));
  assert.equal(decodeJournal(await readFile(`${output}.hw-journal`))?.done.count, 0);
  await put(part, Array(11).keys(), 2);
  await part.finish();
  assert.deepEqual(await readFile(output), bytesAt(0, SIZE, 2));
});

test('a part file without a readable journal is refused; force starts anew', async (t) => {
  for (const journal of [undefined, 'torn']) {
    const folder = await scratchFolder(t);
    const output = join(folder, 'file');
    await writeFile(`${output}.hw-part`, 'something');
    if (journal !== undefined) await writeFile(`${output}.hw-journal`, journal);
    const before = await contents(folder);
    await assert.rejects(
      openPartFile({ output, identity: A, layout }),
      failure('HW_PART_FOREIGN', `${output}.hw-part`),
    );
    assert.deepEqual(await contents(folder), before);
    const part = await openPartFile({ output, identity: A, layout, force: true });
    assert.deepEqual(doneOf(part), []);
    await put(part, Array(11).keys());
    await part.finish();
    assert.deepEqual(await readFile(output), bytesAt(0, SIZE));
  }
});

test('a journal without its part file, or with a shorter one, is believed for nothing that is not there', async (t) => {
  const { output } = await begun(t, [1, 2, 9]);
  await truncate(`${output}.hw-part`, 2999);
  const part = await openPartFile({ output, identity: A, layout });
  assert.deepEqual(doneOf(part), [1]);
  assert.equal((await stat(part.path)).size, SIZE);
  await part.close();

  await rm(`${output}.hw-part`);
  const anew = await openPartFile({ output, identity: B, layout });
  assert.deepEqual(doneOf(anew), []);
  await anew.close();
});

test('a part file that is a symbolic link is not followed', async (t) => {
  const folder = await scratchFolder(t);
  const output = join(folder, 'file');
  await writeFile(join(folder, 'precious'), 'precious');
  await symlink('precious', `${output}.hw-part`);
  await assert.rejects(openPartFile({ output, identity: A, layout }), failure('HW_DISK', '.hw-part'));
  assert.equal(await readFile(join(folder, 'precious'), 'utf8'), 'precious');
});

test('chunks taken without a manifest are doubtful once there is one, and are kept until looked at', async (t) => {
  const { output } = await begun(t, [1, 2]);
  const identity = { ...A, manifest: 'c'.repeat(64) };
  const part = await openPartFile({ output, identity, layout });
  assert.equal(part.resumed.likeness, 'same');
  assert.deepEqual(doneOf(part), []);
  assert.deepEqual(part.resumed.doubtful, [1, 2]);
  await part.close();

  const again = await openPartFile({ output, identity, layout });
  assert.deepEqual(again.resumed.doubtful, [1, 2]);
  again.markDone(2);
  await again.close();
  const third = await openPartFile({ output, identity, layout });
  assert.deepEqual(doneOf(third), [2]);
  await third.close();
});

test('after a power failure, chunks that were not synced are doubtful', async (t) => {
  const { output } = await begun(t, [1, 2, 3]);
  const path = `${output}.hw-journal`;
  const journal = decodeJournal(await readFile(path));
  assert.ok(journal);
  for (const [boot, done, doubtful] of [
    [journal.boot, [1, 2, 3, 5], []],
    ['another', [1, 2, 3], [5]],
    [undefined, [1, 2, 3], [5]],
  ] as const) {
    const snapshot = encodeSnapshot({ ...journal, boot });
    await writeFile(path, Buffer.concat([snapshot, encodeTail(snapshot, [5])]));
    const part = await openPartFile({ output, identity: A, layout });
    assert.deepEqual(doneOf(part), done);
    assert.deepEqual(part.resumed.doubtful, doubtful);
    await part.close();
  }
});

test('another cut of the same file is resumed', async (t) => {
  const { output } = await begun(t, [0, 1, 2, 10]);
  const other = new ChunkLayout(SIZE, 2000);
  const part = await openPartFile({ output, identity: A, layout: other });
  assert.deepEqual(doneOf(part), [0, 5]);
  await part.close();
});

test('chunks that are not done any more are not in the journal when they may be overwritten', async (t) => {
  const { output } = await begun(t, [1, 2, 3]);
  const part = await openPartFile({ output, identity: A, layout });
  await put(part, [4, 5]);
  const flushing = part.flush();
  await part.unmark([2, 4]);
  const journal = decodeJournal(await readFile(`${output}.hw-journal`));
  assert.ok(journal);
  for (const chunk of [2, 4]) assert.ok(!journal.done.has(chunk) && !journal.tail.includes(chunk));
  for (const chunk of [1, 3, 5]) assert.ok(journal.done.has(chunk) || journal.tail.includes(chunk));
  await flushing;
  await part.close();
});
