import assert from 'node:assert/strict';
import { test } from 'node:test';

import { compareIdentity } from '../../../../src/client/storage/identity.ts';
import { recut } from '../../../../src/client/storage/recut.ts';
import { Bitmap } from '../../../../src/core/bitmap.ts';
import { ChunkLayout } from '../../../../src/core/chunks.ts';

function told(size: number, from: number, to: number, has: readonly number[]): number[] {
  const before = new ChunkLayout(size, from);
  const after = new ChunkLayout(size, to);
  const bits = new Bitmap(before.count);
  for (const chunk of has) bits.add(chunk);
  const out = recut(bits, before, after);
  return Array.from({ length: after.count }, (_, i) => i).filter((i) => out.has(i));
}

test('a chunk of another cut is there only when all its bytes are', () => {
  assert.deepEqual(told(100, 10, 20, [0, 1, 2, 5, 6, 7, 9]), [0, 3]);
  assert.deepEqual(told(105, 10, 20, [8, 9, 10]), [4, 5], 'the short last chunk counts as it is');
  assert.deepEqual(told(100, 20, 10, [1, 4]), [2, 3, 8, 9]);
  assert.deepEqual(told(100, 30, 20, [0, 1, 3]), [0, 1, 2]);
  assert.deepEqual(told(100, 10, 10, [3, 7]), [3, 7]);
  assert.deepEqual(told(0, 10, 20, []), []);
});

test('two identities are of one file, of two, or do not tell', () => {
  const [a, b] = ['a'.repeat(64), 'b'.repeat(64)] as const;
  assert.equal(compareIdentity({ size: 1 }, { size: 2 }), 'different');
  assert.equal(compareIdentity({ size: 1, sha256: a }, { size: 2, sha256: a }), 'different');
  assert.equal(compareIdentity({ size: 1 }, { size: 1 }), 'unknown');
  assert.equal(compareIdentity({ size: 1, sha256: a }, { size: 1 }), 'unknown');
  assert.equal(compareIdentity({ size: 1, sha256: a }, { size: 1, manifest: b }), 'unknown');
  assert.equal(compareIdentity({ size: 1, sha256: a }, { size: 1, sha256: b }), 'different');
  assert.equal(compareIdentity({ size: 1, manifest: a }, { size: 1, manifest: b }), 'different');
  assert.equal(compareIdentity({ size: 1, manifest: a }, { size: 1, manifest: a }), 'same');
  assert.equal(
    compareIdentity({ size: 1, sha256: a, manifest: a }, { size: 1, sha256: a, manifest: b }),
    'same',
    'one file, cut in two ways',
  );
  assert.equal(compareIdentity({ size: 0 }, { size: 0 }), 'same');
});
