import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';

import { MIB } from '../../src/core/chunks.ts';
import { Scheduler } from '../../src/core/scheduler/scheduler.ts';
import { calmFleet, type Fleet, steadySource } from './fleet.ts';
import { runPromised } from './promises.ts';

/**
 * What `decide` costs where it has most to look at. The bounds are several times what a slow machine needs, so that they
 * tell a cost that grows with the square of something from one that does not, not one machine from another.
 */
function costOf(t: TestContext, fleet: Fleet): { mean: number; far: number } {
  const costs: number[] = [];
  runPromised(fleet, (options) => new Scheduler(options), {
    onDecide: (_scheduler, _now, ms) => costs.push(ms * 1000),
  });
  costs.sort((a, b) => a - b);
  const at = (part: number): number => costs[Math.floor(part * (costs.length - 1))] ?? NaN;
  const mean = costs.reduce((sum, cost) => sum + cost, 0) / costs.length;
  t.diagnostic(
    `decide, microseconds: mean ${mean.toFixed(1)}, median ${at(0.5).toFixed(1)}, 99 % within ${at(0.99).toFixed(1)}, worst ${at(1).toFixed(0)} (${costs.length} calls)`,
  );
  return { mean, far: at(0.99) };
}

/** 4,096 chunks; 64 sources of `rate` bytes a second. */
function wide(rate: (index: number) => number, otherwise: Partial<Fleet> = {}): Fleet {
  const sources = Array.from({ length: 64 }, (_, index) => steadySource(rate(index), { jitter: 0.1 }));
  return calmFleet(4096 * MIB, sources, { readMs: 50, ...otherwise });
}

describe('what decide costs', () => {
  it('4,096 chunks, 64 sources with 16 connections each', (t) => {
    const { mean, far } = costOf(
      t,
      wide(() => 4e6, { fixedConnections: true }),
    );
    assert.ok(mean < 500 && far < 5000);
  });

  it('4,096 chunks, 64 sources that find out how many they need', (t) => {
    const { mean, far } = costOf(
      t,
      wide(() => 4e6),
    );
    assert.ok(mean < 300 && far < 3000);
  });

  it('4,096 chunks, 64 sources of very different rates', (t) => {
    const { mean, far } = costOf(
      t,
      wide((index) => 20e6 / (index + 1) ** 1.5),
    );
    assert.ok(mean < 300 && far < 3000);
  });

  it('4,096 chunks, 64 sources that each hold half of them', (t) => {
    const fleet = wide(() => 4e6);
    const sources = fleet.sources.map((source, index) =>
      index === 0 ? source : { ...source, part: { seed: index, share: 0.5 } },
    );
    const { mean, far } = costOf(t, { ...fleet, sources });
    assert.ok(mean < 500 && far < 5000);
  });

  it('4,096 chunks, three sources', (t) => {
    const sources = [200e6, 100e6, 50e6].map((rate) => steadySource(rate, { jitter: 0.1 }));
    const { mean, far } = costOf(t, calmFleet(4096 * MIB, sources, { readMs: 10 }));
    assert.ok(mean < 50 && far < 500);
  });
});
