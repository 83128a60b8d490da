import assert from 'node:assert/strict';
import { test } from 'node:test';

import * as fc from 'fast-check';

import {
  ChunkLayout,
  chunkSizeFor,
  LEAST_CHUNK_SIZE,
  MIB,
  MOST_CHUNK_SIZE,
  WANTED_CHUNKS,
} from '../../../src/core/chunks.ts';

const layouts = fc
  .record({ size: fc.nat({ max: 10_000 }), chunkSize: fc.integer({ min: 1, max: 3000 }) })
  .map(({ size, chunkSize }) => new ChunkLayout(size, chunkSize));

test('chunks follow one another without gap or overlap, and end with the file', () => {
  fc.assert(
    fc.property(layouts, (layout) => {
      let at = 0;
      for (let index = 0; index < layout.count; index++) {
        assert.equal(layout.start(index), at);
        assert.ok(layout.bytes(index) > 0);
        at = layout.end(index);
      }
      assert.equal(at, layout.size);
    }),
  );
});

test('every byte is in the chunk that holds its offset', () => {
  fc.assert(
    fc.property(layouts, fc.nat(), (layout, any) => {
      fc.pre(layout.size > 0);
      const offset = any % layout.size;
      const index = layout.at(offset);
      assert.ok(layout.start(index) <= offset && offset < layout.end(index));
    }),
  );
});

test('only the last chunk is shorter', () => {
  const layout = new ChunkLayout(2 * MIB + 1);
  assert.deepEqual(
    [0, 1, 2].map((index) => layout.bytes(index)),
    [MIB, MIB, 1],
  );
  assert.equal(layout.bytes(0, 3), 2 * MIB + 1);
});

test('an empty file has no chunk, a byte has one, a chunk and a byte have two', () => {
  assert.equal(new ChunkLayout(0).count, 0);
  assert.equal(new ChunkLayout(1).count, 1);
  assert.equal(new ChunkLayout(MIB).count, 1);
  assert.equal(new ChunkLayout(MIB + 1).count, 2);
});

test('the chunk size doubles when a file would have more chunks than wanted, up to the largest', () => {
  const most = LEAST_CHUNK_SIZE * WANTED_CHUNKS;
  assert.equal(chunkSizeFor(0), LEAST_CHUNK_SIZE);
  assert.equal(chunkSizeFor(most), LEAST_CHUNK_SIZE);
  assert.equal(chunkSizeFor(most + 1), 2 * LEAST_CHUNK_SIZE);
  assert.equal(chunkSizeFor(MOST_CHUNK_SIZE * WANTED_CHUNKS), MOST_CHUNK_SIZE);
  assert.equal(chunkSizeFor(Number.MAX_SAFE_INTEGER), MOST_CHUNK_SIZE);
});

test('what is no size is refused', () => {
  for (const size of [-1, 0.5, NaN, Infinity, 2 ** 53])
    assert.throws(() => new ChunkLayout(size), RangeError);
  for (const size of [0, -1, 0.5, NaN]) assert.throws(() => new ChunkLayout(1, size), RangeError);
});
