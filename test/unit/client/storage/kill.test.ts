import assert from 'node:assert/strict';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';

import { decodeJournal } from '../../../../src/client/storage/journal.ts';
import { ChunkLayout } from '../../../../src/core/chunks.ts';
import { Child } from './child.ts';
import { bytesAt, scratchFolder } from './scratch.ts';

const CHUNK = 4096;
const LANES = 40;
const SIZE = 2000 * CHUNK + 5;
const layout = new ChunkLayout(SIZE, CHUNK);

/** The chunks that the journal calls done, after their bytes were found to be right. */
async function believed(output: string): Promise<number> {
  const [journal, part] = await Promise.all([
    readFile(`${output}.hw-journal`).catch(() => undefined),
    readFile(`${output}.hw-part`).catch(() => undefined),
  ]);
  if (part === undefined) return 0;
  assert.ok(journal, 'there is no part file without a journal');
  const said = decodeJournal(journal);
  assert.ok(said, 'the journal is whole');
  let count = 0;
  for (let chunk = 0; chunk < layout.count; chunk++) {
    if (!said.done.has(chunk) && !said.tail.includes(chunk)) continue;
    count++;
    const bytes = part.subarray(layout.start(chunk), layout.end(chunk));
    assert.ok(bytes.equals(bytesAt(layout.start(chunk), layout.bytes(chunk))), `chunk ${chunk}`);
  }
  return count;
}

test('after each of many kills at random moments the journal tells the truth, and the file is right in the end', async (t) => {
  const folder = await scratchFolder(t);
  const output = join(folder, 'file');
  const start = (): Child => new Child(t, './writer-program.ts', [output, String(SIZE), String(CHUNK)]);
  let most = 0;
  let resumed = 0;
  for (let kills = 1; kills <= 25; kills++) {
    const child = start();
    // Some while it starts, most while it writes.
    const early = kills % 5 === 0;
    if (!early) assert.equal(await child.says(), 'open');
    await new Promise((resolve) => setTimeout(resolve, Math.random() * (early ? 200 : 150)));
    await child.kill();
    if ((await readdir(folder)).includes('file')) {
      assert.ok((await readFile(output)).equals(bytesAt(0, SIZE)));
      for (const name of await readdir(folder)) await rm(join(folder, name));
      most = 0;
      continue;
    }
    const now = await believed(output);
    // Each of the lanes that fill it may just have unmarked one chunk.
    assert.ok(now >= most - LANES, `${most} chunks were done, after kill ${kills} it is ${now}`);
    if (most > 0) resumed++;
    most = Math.max(most, now);
  }
  t.diagnostic(
    `${resumed} of 25 runs went on with an earlier one's chunks; ${most} of ${layout.count} are done`,
  );
  assert.ok(resumed > 5);

  const child = start();
  assert.equal(await child.says(), 'open');
  assert.equal(await child.says(), 'whole');
  await child.ends();
  assert.deepEqual(await readdir(folder), ['file']);
  assert.ok((await readFile(output)).equals(bytesAt(0, SIZE)));
});
