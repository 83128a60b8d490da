import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { heldByNone, shownChunks } from '../../../src/client/holdings.ts';
import { Bitmap } from '../../../src/core/bitmap.ts';

function bits(text: string): Bitmap {
  const bitmap = new Bitmap(text.length);
  for (const [at, bit] of text.split('').entries()) if (bit === '1') bitmap.add(at);
  return bitmap;
}

describe('chunks that nobody holds', () => {
  test('are those that are missing and that no source has', () => {
    const sources = [{ has: bits('110000') }, { has: bits('011000') }];
    assert.deepEqual(heldByNone(bits('100010'), sources), [3, 5]);
  });

  test('are none where one source has all', () => {
    assert.deepEqual(heldByNone(bits('000'), [{ has: bits('000') }, { has: undefined }]), []);
  });

  test('are all that are missing where there is no source', () => {
    assert.deepEqual(heldByNone(bits('010'), []), [0, 2]);
  });

  test('are shown as runs, the first few of them', () => {
    assert.equal(shownChunks([3, 6, 7, 8, 9]), '3, 6–9');
    assert.equal(shownChunks([0, 2, 4, 6, 8, 10, 12]), '0, 2, 4, 6, 8 and others');
  });
});
