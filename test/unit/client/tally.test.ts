import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Tally } from '../../../src/client/tally.ts';
import { ChunkLayout } from '../../../src/core/chunks.ts';

test('who gave which chunk is known, and how many bytes that makes', () => {
  const tally = new Tally(new ChunkLayout(25, 10));
  assert.equal(tally.complete, false);
  tally.gave(1, 0);
  tally.gave(2, 1);
  tally.gave(1, 2);
  assert.ok(tally.complete);
  assert.deepEqual(tally.chunksOf(1), [0, 2]);
  assert.deepEqual([tally.bytesOf(1), tally.bytesOf(2), tally.bytesOf(3)], [15, 10, 0]);
  assert.deepEqual(tally.givers(), new Set([1, 2]));
});

test('the last to give a chunk is the one', () => {
  const tally = new Tally(new ChunkLayout(10, 10));
  tally.gave(1, 0);
  tally.gave(2, 0);
  assert.equal(tally.giver(0), 2);
  assert.equal(tally.bytesOf(1), 0);
});

test('what is forgotten was given by nobody', () => {
  const tally = new Tally(new ChunkLayout(20, 10));
  tally.gave(Tally.earlier, 0);
  tally.gave(1, 1);
  assert.ok(tally.hasEarlier);
  tally.forget([0]);
  assert.equal(tally.giver(0), undefined);
  assert.equal(tally.hasEarlier, false);
  assert.equal(tally.complete, false);
  assert.deepEqual(tally.givers(), new Set([1]));
});

test('a file without a byte is complete', () => {
  assert.ok(new Tally(new ChunkLayout(0)).complete);
});
