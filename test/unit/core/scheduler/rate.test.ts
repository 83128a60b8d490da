import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { RateMeter } from '../../../../src/core/scheduler/rate.ts';

/** Feeds `perSecond` for `ms` milliseconds in steps of ten. */
function flow(meter: RateMeter, from: number, ms: number, perSecond: number): number {
  for (let now = from + 10; now <= from + ms; now += 10) {
    meter.advance(now, true);
    meter.add(perSecond / 100);
  }
  return from + ms;
}

describe('a rate meter', () => {
  it('knows nothing before the first bytes', () => {
    const meter = new RateMeter(0);
    assert.equal(meter.rate, undefined);
    meter.advance(5000, true);
    assert.equal(meter.rate, undefined);
  });

  it('gives the rate of a steady flow within a per cent', () => {
    const meter = new RateMeter(1000);
    flow(meter, 1000, 3000, 5e6);
    assert.ok(Math.abs((meter.rate ?? 0) / 5e6 - 1) < 0.01);
  });

  it('follows a change within a few seconds', () => {
    const meter = new RateMeter(0);
    const now = flow(meter, 0, 5000, 8e6);
    flow(meter, now, 4000, 1e6);
    assert.ok(Math.abs((meter.rate ?? 0) / 1e6 - 1) < 0.2);
  });

  it('leaves out the time in which nothing was asked', () => {
    const meter = new RateMeter(0);
    const now = flow(meter, 0, 2000, 5e6);
    meter.advance(now + 60_000, false);
    assert.ok(Math.abs((meter.rate ?? 0) / 5e6 - 1) < 0.01);
    assert.equal(meter.busyTime, 2000);
  });

  it('sees a source die', () => {
    const meter = new RateMeter(0);
    const now = flow(meter, 0, 5000, 5e6);
    meter.advance(now + 3000, true);
    assert.ok((meter.rate ?? 0) < 0.3e6);
  });
});
