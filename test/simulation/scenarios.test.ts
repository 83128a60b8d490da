import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';

import { MIB } from '../../src/core/chunks.ts';
import { Scheduler } from '../../src/core/scheduler/scheduler.ts';
import type { SchedulerApi } from '../../src/core/scheduler/types.ts';
import { calmFleet, type Fleet, steadySource, type Trouble } from './fleet.ts';
import { runPromised } from './promises.ts';
import type { Run, RunOptions } from './world.ts';

/** Bytes a second in a Mbit/s. */
const MBIT = 125_000;
const RATES = [200, 100, 50, 25];

function run(t: TestContext, fleet: Fleet, options: RunOptions = {}): Run & { endAt: number } {
  const outcome = runPromised(fleet, (given) => new Scheduler(given), options);
  const { endAt, idealAt, requests, wastedBytes, connections } = outcome;
  assert.ok(endAt !== undefined);
  const each = connections.slice(0, 8).map(({ mean, most }) => `${mean.toFixed(2)} (${most})`);
  t.diagnostic(
    `${endAt.toFixed(0)} ms, ideal ${idealAt.toFixed(0)} ms, ${(endAt / idealAt).toFixed(4)} x; ` +
      `${requests} requests, ${wastedBytes} bytes wasted; connections, mean (most): ${each.join(', ')}`,
  );
  return { ...outcome, endAt };
}

/** Four hosts as in the benchmark; `trouble` befalls the fastest. */
function fourHosts(trouble: readonly Trouble[] = []): Fleet {
  return calmFleet(
    256 * MIB,
    RATES.map((rate, index) =>
      steadySource(rate * MBIT, {
        connectMs: 1,
        firstByteMs: 2,
        jitter: 0.02,
        troubles: index === 0 ? trouble : [],
      }),
    ),
  );
}

function within(outcome: { endAt: number; idealAt: number }, factor: number): void {
  const { endAt, idealAt } = outcome;
  assert.ok(endAt <= idealAt * factor, `${endAt.toFixed(0)} ms; ${(idealAt * factor).toFixed(0)} ms allowed`);
}

describe('four hosts of 200, 100, 50 and 25 Mbit/s, 256 MiB', () => {
  it('all four send to the end', (t) => {
    within(run(t, fourHosts()), 1.02);
  });

  it('the fastest is killed after two seconds', (t) => {
    within(run(t, fourHosts([{ kind: 'refuses', at: 2000, lasts: Infinity }])), 1.03);
  });

  it("the fastest one's cable is pulled after two seconds", (t) => {
    within(run(t, fourHosts([{ kind: 'unplugged', at: 2000, lasts: Infinity }])), 1.06);
  });

  it('the fastest is paused after two seconds and goes on after four', (t) => {
    // Half a second more than ideal: it is asked again in steps.
    const outcome = run(t, fourHosts([{ kind: 'paused', at: 2000, lasts: 2000, retryAfter: 1000 }]));
    assert.ok(outcome.endAt <= outcome.idealAt * 1.02 + 1000);
  });

  it('all four die after two seconds and come back after five more', (t) => {
    const fleet = fourHosts();
    const sources = fleet.sources.map((source) => ({
      ...source,
      troubles: [{ kind: 'refuses', at: 2000, lasts: 5000 } as const],
    }));
    const outcome = run(t, { ...fleet, sources });
    assert.ok(outcome.endAt <= outcome.idealAt * 1.02 + 4000);
  });

  it('another host of 100 Mbit/s joins after two seconds', (t) => {
    const fleet = fourHosts();
    const late = steadySource(100 * MBIT, { joinsAt: 2000 });
    within(run(t, { ...fleet, sources: [...fleet.sources, late] }), 1.02);
  });

  it('the fastest slows down to a hundredth after two seconds', (t) => {
    const fleet = fourHosts();
    const [first, ...others] = fleet.sources;
    assert.ok(first !== undefined);
    const slowed = {
      ...first,
      rate: [
        { at: 0, rate: 200 * MBIT },
        { at: 2000, rate: 2 * MBIT },
      ],
    };
    within(run(t, { ...fleet, sources: [slowed, ...others] }), 1.04);
  });

  it('one of them lies from the start', (t) => {
    const outcome = run(t, fourHosts([{ kind: 'lies', at: 0, lasts: Infinity }]));
    within(outcome, 1.03);
    assert.ok(outcome.wastedBytes <= 8 * MIB, `${outcome.wastedBytes} bytes wasted`);
  });
});

describe('connections', () => {
  it('finds enough of them where each brings 2 MB/s of 50 MB/s', (t) => {
    const limited = steadySource(50e6, { perConnection: 2e6, connectMs: 1, firstByteMs: 2 });
    const found = run(t, calmFleet(256 * MIB, [limited]));
    const sixteen = run(t, calmFleet(256 * MIB, [limited], { fixedConnections: true }));
    const part = sixteen.endAt / found.endAt;
    assert.ok(part >= 0.85, `${part.toFixed(3)} of the rate of sixteen connections`);
  });

  it('opens all at once where it is told to', (t) => {
    const outcome = run(
      t,
      calmFleet(256 * MIB, [steadySource(50e6, { perConnection: 2e6 })], {
        fixedConnections: true,
        mostConnections: 8,
      }),
    );
    const [one] = outcome.connections;
    assert.ok(one !== undefined && one.most === 8 && one.mean > 7.5);
  });

  it('opens no useless ones where the own line is what is short', (t) => {
    const sources = [20e6, 20e6, 20e6].map((rate) => steadySource(rate, { jitter: 0.05 }));
    const outcome = run(t, calmFleet(1024 * MIB, sources, { downlink: 25e6 }));
    within(outcome, 1.02);
    for (const { source, mean } of outcome.connections) {
      assert.ok(mean <= 2, `source ${source} has ${mean.toFixed(2)} connections on average`);
    }
  });

  it('opens no useless ones where each source is what is short', (t) => {
    const outcome = run(
      t,
      calmFleet(
        1024 * MIB,
        RATES.map((rate) => steadySource(rate * MBIT, { jitter: 0.05 })),
      ),
    );
    for (const { source, mean } of outcome.connections) {
      assert.ok(mean <= 2, `source ${source} has ${mean.toFixed(2)} connections on average`);
    }
  });

  it('stays within what a server accepts', (t) => {
    const outcome = run(
      t,
      calmFleet(256 * MIB, [steadySource(50e6, { perConnection: 2e6, accepts: 4 }), steadySource(8e6)]),
    );
    within(outcome, 1.1);
  });
});

describe('fleets of other shapes', () => {
  it('64 equal sources', (t) => {
    const sources = Array.from({ length: 64 }, () => steadySource(2e6, { jitter: 0.05 }));
    const outcome = run(t, calmFleet(1024 * MIB, sources));
    within(outcome, 1.1);
  });

  it('one source', (t) => {
    within(run(t, calmFleet(256 * MIB, [steadySource(25e6)])), 1.01);
  });

  it('one source far away', (t) => {
    const far = steadySource(25e6, { connectMs: 80, firstByteMs: 80 });
    within(run(t, calmFleet(256 * MIB, [far])), 1.07);
  });

  it('two sources whose rates are 100 to 1', (t) => {
    const outcome = run(t, calmFleet(256 * MIB, [steadySource(50e6), steadySource(0.5e6)]));
    within(outcome, 1.02);
  });

  it('one fast source among fifteen that are a hundred times slower', (t) => {
    const slow = Array.from({ length: 15 }, () => steadySource(0.5e6));
    within(run(t, calmFleet(256 * MIB, [steadySource(50e6), ...slow])), 1.03);
  });

  it('three chunks from four sources', (t) => {
    const outcome = run(
      t,
      calmFleet(
        3 * MIB,
        RATES.map((rate) => steadySource(rate * MBIT)),
      ),
    );
    // The fastest alone would need 126 ms for all three, and the ideal is 67 ms.
    assert.ok(outcome.endAt <= 130, `${outcome.endAt} ms`);
  });

  it('a file of one byte', (t) => {
    const outcome = run(t, calmFleet(1, [steadySource(1e6), steadySource(1e6)]));
    assert.ok(outcome.endAt < 20);
  });

  it('an empty file', () => {
    const outcome = runPromised(calmFleet(0, [steadySource(1e6)]), (given) => new Scheduler(given));
    assert.equal(outcome.endAt, 0);
    assert.equal(outcome.requests, 0);
  });

  it('20 GiB from three sources in less than a request a chunk', (t) => {
    const sources = [300e6, 200e6, 100e6].map((rate) =>
      steadySource(rate, { jitter: 0.05, firstByteMs: 0.3 }),
    );
    const outcome = run(t, calmFleet(20 * 1024 * MIB, sources, { readMs: 20 }));
    within(outcome, 1.01);
    assert.ok(outcome.requests < 1280, `${outcome.requests} requests`);
  });

  it('output in order from four sources, 32 chunks at a time', (t) => {
    const outcome = run(t, { ...fourHosts(), window: 32 });
    within(outcome, 1.1);
  });

  it('a peer that grows while it is read, beside a slow source that holds everything', (t) => {
    const peer = steadySource(20e6, {
      part: { seed: 7, share: 0.1 },
      grows: Array.from({ length: 9 }, (_, index) => ({ at: 500 * (index + 1), share: 0.1 * (index + 2) })),
    });
    const outcome = run(t, calmFleet(128 * MIB, [steadySource(5e6), peer]));
    within(outcome, 1.25);
  });

  it('a client that reads nothing for three seconds', (t) => {
    const outcome = run(t, { ...fourHosts(), holds: [{ at: 1000, lasts: 3000 }] });
    within(outcome, 1.02);
    assert.equal(outcome.wastedBytes, 0);
  });
});

describe('what is reported of a source', () => {
  it('its rate is the rate it sends with', () => {
    const seen: number[][] = RATES.map(() => []);
    const look = (scheduler: SchedulerApi, now: number): void => {
      if (now < 3000 || now > 4500) return;
      scheduler.views(now).forEach(({ rate }, index) => seen[index]?.push(rate / MBIT));
    };
    runPromised(fourHosts(), (given) => new Scheduler(given), { onDecide: look });
    for (const [index, rates] of seen.entries()) {
      const truth = RATES[index] ?? NaN;
      const mean = rates.reduce((sum, rate) => sum + rate, 0) / rates.length;
      assert.ok(Math.abs(mean / truth - 1) < 0.05, `${mean} Mbit/s on average: ${truth}`);
      for (const rate of rates) assert.ok(Math.abs(rate / truth - 1) < 0.25, `${rate} Mbit/s: ${truth}`);
    }
  });
});
