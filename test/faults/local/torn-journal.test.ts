import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';

import { decodeJournal } from '../../../src/client/storage/journal.ts';
import { MIB } from '../../../src/core/chunks.ts';
import { failure, Lab } from '../network/lab.ts';
import { begun } from './begun.ts';

const SIZE = 8 * MIB + 5;

/** The journal of a download that was stopped half-way, torn in many ways. */
function tears(journal: Buffer): Map<string, Buffer> {
  const snapshot = decodeJournal(journal)?.snapshot.length ?? 0;
  const flipped = (at: number): Buffer => {
    const copy = Buffer.from(journal);
    copy.writeUInt8(copy.readUInt8(at) ^ 1, at);
    return copy;
  };
  return new Map([
    ['is empty', Buffer.alloc(0)],
    ['ends in its magic number', journal.subarray(0, 5)],
    ['ends in its text', journal.subarray(0, 60)],
    ['ends before its seal', journal.subarray(0, snapshot - 32)],
    ['ends in its seal', journal.subarray(0, snapshot - 1)],
    ['is zeros, as after a power failure', Buffer.alloc(journal.length)],
    ['has another bit in its text', flipped(40)],
    ['has another bit in its bitmap', flipped(snapshot - 33)],
    ['has another bit in its seal', flipped(snapshot - 1)],
  ]);
}

test('a download whose journal is torn is refused rather than believed, and force starts anew', async () => {
  await using lab = await Lab.of([{}], { size: SIZE });
  const path = `${lab.output}.hw-journal`;
  await begun(lab);
  const part = readFileSync(`${lab.output}.hw-part`);
  for (const [how, torn] of tears(readFileSync(path))) {
    writeFileSync(path, torn);
    const error = await failure(lab.get({ sha256: lab.sha256 }));
    assert.equal(error.code, 'HW_PART_FOREIGN', `when it ${how}`);
    assert.ok(part.equals(readFileSync(`${lab.output}.hw-part`)), 'the part file is as it was');
  }
  await lab.get({ sha256: lab.sha256, force: true });
  lab.hasTheFile();
});

test('a torn tail costs its own chunks and no others', async () => {
  await using lab = await Lab.of([{}], { size: SIZE });
  const path = `${lab.output}.hw-journal`;
  await begun(lab);
  const journal = readFileSync(path);
  const snapshot = decodeJournal(journal)?.snapshot.length ?? 0;
  // Half of a record behind the snapshot, then noise.
  writeFileSync(path, Buffer.concat([journal.subarray(0, snapshot), Buffer.from('torn torn torn torn')]));
  const { resumedBytes } = await lab.get();
  assert.ok(resumedBytes > 0);
  lab.hasTheFile();
});
