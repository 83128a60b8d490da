import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  decodeJournal,
  encodeSnapshot,
  encodeTail,
  RECORD_BYTES,
} from '../../../../src/client/storage/journal.ts';
import { Bitmap } from '../../../../src/core/bitmap.ts';
import { failure } from './scratch.ts';

const SHA256 = 'ab'.repeat(32);

function example(): { snapshot: Uint8Array; whole: Uint8Array } {
  const done = new Bitmap(21);
  for (const chunk of [0, 3, 20]) done.add(chunk);
  const snapshot = encodeSnapshot({
    identity: { size: 20_500, sha256: SHA256 },
    chunkSize: 1000,
    boot: 'this one',
    done,
    extra: { gave: { '3': 'http://a/' } },
  });
  const room = Buffer.alloc(4 * RECORD_BYTES);
  return { snapshot, whole: Buffer.concat([snapshot, encodeTail(snapshot, [7, 0, 9]), room]) };
}

function chunks(bits: Bitmap): number[] {
  return Array.from({ length: bits.length }, (_, i) => i).filter((i) => bits.has(i));
}

test('a journal says what was put into it', () => {
  const journal = decodeJournal(example().whole);
  assert.ok(journal);
  assert.deepEqual(journal.identity, { size: 20_500, sha256: SHA256 });
  assert.equal(journal.chunkSize, 1000);
  assert.equal(journal.boot, 'this one');
  assert.deepEqual(chunks(journal.done), [0, 3, 20]);
  assert.deepEqual(journal.tail, [7, 9], 'chunk 0 is in the snapshot already');
  assert.deepEqual(journal.extra, { gave: { '3': 'http://a/' } });
});

test('a journal cut off anywhere is unreadable, or has lost the end of its tail and nothing else', () => {
  const { snapshot, whole } = example();
  for (let length = 0; length < whole.length; length++) {
    const journal = decodeJournal(whole.subarray(0, length));
    if (length < snapshot.length) {
      assert.equal(journal, undefined, `${length} bytes`);
      continue;
    }
    const records = Math.floor((length - snapshot.length) / RECORD_BYTES);
    assert.ok(journal);
    assert.deepEqual(journal.tail, [[], [7], [7], [7, 9]][Math.min(records, 3)], `${length} bytes`);
    assert.deepEqual(chunks(journal.done), [0, 3, 20]);
  }
});

test('a journal with any byte altered is unreadable, or has lost the end of its tail and nothing else', () => {
  const { snapshot, whole } = example();
  for (let at = 0; at < whole.length; at++) {
    for (const flip of [1, 0x80, 0xff]) {
      const bytes = Uint8Array.from(whole);
      bytes[at] = (bytes[at] ?? 0) ^ flip;
      const journal = decodeJournal(bytes);
      if (at < snapshot.length) {
        assert.equal(journal, undefined, `byte ${at}`);
        continue;
      }
      const record = Math.floor((at - snapshot.length) / RECORD_BYTES);
      assert.deepEqual(journal?.tail, [[], [7], [7], [7, 9]][Math.min(record, 3)], `byte ${at}`);
    }
  }
});

test('the tail of another journal is not believed', () => {
  const { snapshot } = example();
  const other = encodeSnapshot({
    identity: { size: 20_500 },
    chunkSize: 1000,
    boot: undefined,
    done: new Bitmap(21),
    extra: {},
  });
  assert.deepEqual(decodeJournal(Buffer.concat([snapshot, encodeTail(other, [5])]))?.tail, []);
});

test('a journal is read from the middle of a larger buffer', () => {
  const { whole } = example();
  const large = Buffer.concat([Buffer.alloc(13, 0xee), whole]);
  assert.deepEqual(decodeJournal(large.subarray(13))?.tail, [7, 9]);
});

test('an empty file has a journal too', () => {
  const done = new Bitmap(0);
  const bytes = encodeSnapshot({ identity: { size: 0 }, chunkSize: 1, boot: undefined, done, extra: {} });
  assert.equal(decodeJournal(bytes)?.done.length, 0);
});

test('more beside the bitmap than a journal may carry is refused', () => {
  const encode = () =>
    encodeSnapshot({
      identity: { size: 1 },
      chunkSize: 1,
      boot: undefined,
      done: new Bitmap(1),
      extra: { text: 'x'.repeat(1024 * 1024) },
    });
  assert.throws(encode, failure('HW_INTERNAL', 'too many'));
});
