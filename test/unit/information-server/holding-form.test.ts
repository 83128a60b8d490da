import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import {
  bitmapFrom,
  bitmapOfCount,
  storedForm,
} from '../../../src/information-server/servers/holding-form.ts';

describe('the stored form of a holding', () => {
  it('is the bitmap again, whatever is held', () => {
    let state = 1;
    const random = (): number => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
    for (let round = 0; round < 500; round++) {
      const bits = new Uint8Array(1 + Math.floor(random() * 600));
      const density = random() ** 3;
      for (let bit = 0; bit < bits.length * 8; bit++) {
        if (random() < density) bits[bit >> 3] = (bits[bit >> 3] ?? 0) | (1 << (bit & 7));
      }
      const stored = storedForm(bits);
      assert.ok(stored !== null && stored.length <= bits.length);
      assert.deepEqual(Buffer.from(bitmapFrom(stored, bits.length) ?? []), Buffer.from(bits));
    }
  });

  it('takes about a byte for each chunk where few are held, and nothing for none', () => {
    const bits = new Uint8Array(128);
    for (let chunk = 5; chunk < 1_024; chunk += 34)
      bits[chunk >> 3] = (bits[chunk >> 3] ?? 0) | (1 << (chunk & 7));
    assert.equal(storedForm(bits)?.length, 30);
    assert.equal(storedForm(new Uint8Array(128))?.length, 0);
  });

  it('knows far chunks, and all', () => {
    const bits = new Uint8Array(32_768);
    bits[32_767] = 0x80;
    assert.equal(storedForm(bits)?.length, 3);
    assert.deepEqual(bitmapOfCount(storedForm(bits), 262_144), bits);
    assert.equal(storedForm(null), null);
    assert.equal(bitmapOfCount(null, 9), null);
  });
});
