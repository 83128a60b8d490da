import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { backoff, FAULTS } from '../../../../src/core/scheduler/faults.ts';

const least = (): number => 0;
const most = (): number => 1 - Number.EPSILON;

describe('how long a source is left alone after a fault', () => {
  it('doubles with every fault in a row, up to half a minute', () => {
    let before = 0;
    for (let strikes = 1; strikes <= 40; strikes++) {
      const wait = backoff(strikes, undefined, most);
      assert.ok(wait >= before && wait <= 30_000);
      if (wait < 29_000 && strikes > 1) assert.ok(Math.abs(wait / before - 2) < 1e-9);
      before = wait;
    }
    assert.ok(before > 29_999);
  });

  it('is spread over the upper half', () => {
    for (const strikes of [1, 4, 20]) {
      assert.equal(backoff(strikes, undefined, least) * 2, Math.round(backoff(strikes, undefined, most)));
    }
  });

  it('is never shorter than Retry-After', () => {
    for (const retryAfter of [0, 1, 20_000, 300_000]) {
      for (const strikes of [1, 10]) assert.ok(backoff(strikes, retryAfter, least) >= retryAfter);
    }
  });

  it('does not believe a Retry-After of a day', () => {
    assert.ok(backoff(1, 86_400_000, most) <= 601_000);
  });

  it('takes a negative Retry-After for none', () => {
    assert.ok(backoff(1, -5000, least) >= 0);
  });
});

describe('the table of faults', () => {
  it('retries for ever what may pass by itself, and only that', () => {
    const forEver = Object.entries(FAULTS)
      .filter(([, { retries }]) => retries === Infinity)
      .map(([kind]) => kind);
    assert.deepEqual(forEver.toSorted(), ['connect', 'not-here', 'silent', 'unavailable', 'withdrawn']);
  });

  it('asks nobody again who sent wrong bytes or changed the file', () => {
    for (const kind of ['bad-bytes', 'changed', 'disagrees'] as const) assert.equal(FAULTS[kind].retries, 0);
  });
});
