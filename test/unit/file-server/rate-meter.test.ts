import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { RateMeter } from '../../../src/file-server/rate-meter.ts';

describe('a rate', () => {
  test('is what came in the last seconds', () => {
    const meter = new RateMeter(0);
    for (let now = 0; now < 10_000; now += 10) meter.add(10, now);
    assert.ok(Math.abs(meter.rate(10_000) - 1000) < 50, `${meter.rate(10_000)}`);
  });

  test('is right from the start', () => {
    const meter = new RateMeter(5_000);
    for (let now = 5_000; now < 5_500; now += 10) meter.add(10, now);
    assert.ok(Math.abs(meter.rate(5_500) - 1000) < 50, `${meter.rate(5_500)}`);
  });

  test('is nothing soon after nothing comes any more', () => {
    const meter = new RateMeter(0);
    meter.add(1_000_000, 100);
    assert.ok(meter.rate(200) > 0);
    assert.equal(meter.rate(4_000), 0);
    assert.equal(meter.rate(1_000_000), 0);
  });
});
