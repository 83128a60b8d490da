import assert from 'node:assert/strict';
import { test } from 'node:test';

import * as fc from 'fast-check';

import { Bitmap } from '../../../src/core/bitmap.ts';

test('behaves as a set of numbers below its length', () => {
  const steps = fc.array(fc.record({ add: fc.boolean(), index: fc.integer({ min: -2, max: 45 }) }));
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 40 }), steps, (length, todo) => {
      const bitmap = new Bitmap(length);
      const set = new Set<number>();
      for (const { add, index } of todo) {
        const inside = index >= 0 && index < length;
        if (add) {
          assert.equal(bitmap.add(index), inside && !set.has(index));
          if (inside) set.add(index);
        } else {
          assert.equal(bitmap.delete(index), set.delete(index));
        }
      }
      assert.equal(bitmap.count, set.size);
      for (let index = 0; index < length; index++) assert.equal(bitmap.has(index), set.has(index));
      const copy = new Bitmap(length, bitmap.bytes);
      assert.deepEqual(copy.bytes, bitmap.bytes);
      assert.equal(copy.count, bitmap.count);
    }),
  );
});

test('bits past the length are dropped, bytes that are missing are clear', () => {
  assert.equal(new Bitmap(3, Uint8Array.of(0xff, 0xff)).count, 3);
  assert.deepEqual([...new Bitmap(3, Uint8Array.of(0xff)).bytes], [0b111]);
  assert.equal(new Bitmap(20, Uint8Array.of(0xff)).count, 8);
});

test('a copy is a copy', () => {
  const bytes = Uint8Array.of(1);
  const bitmap = new Bitmap(8, bytes);
  bitmap.add(1);
  assert.deepEqual([...bytes], [1]);
});
