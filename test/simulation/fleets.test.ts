import { describe, it, type TestContext } from 'node:test';

import { Scheduler } from '../../src/core/scheduler/scheduler.ts';
import { anyCalmFleet, anyFleetWithCalmSource, anyHopelessFleet, anyTroubledFleet } from './any-fleet.ts';
import { type Fleet, layoutOf } from './fleet.ts';
import { holdTo } from './hold-to.ts';
import { checkNearIdeal, checkNotSlower, runPromised, type Slack } from './promises.ts';
import type { MakeScheduler } from './scene.ts';
import type { Run } from './world.ts';

const make: MakeScheduler = (options) => new Scheduler(options);

/** Middle, far and worst of what was measured over many fleets. */
function spreadOf(values: number[]): string {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (part: number): string => (sorted[Math.floor(part * (sorted.length - 1))] ?? NaN).toFixed(3);
  return `median ${at(0.5)}, 90 % within ${at(0.9)}, 99 % within ${at(0.99)}, worst ${at(1)} (${values.length} fleets)`;
}

/** Collects how runs compare with the ideal and says so in the test's output. */
class Comparison {
  readonly #overIdeal: number[] = [];
  readonly #wasted: number[] = [];

  add(fleet: Fleet, run: Run): void {
    // Fleets that are over in a moment measure latency, not scheduling.
    if (run.endAt === undefined || run.idealAt < 1000 || layoutOf(fleet).count < 20) return;
    this.#overIdeal.push(run.endAt / run.idealAt);
    this.#wasted.push((100 * run.wastedBytes) / fleet.size);
  }

  say(t: TestContext): void {
    t.diagnostic(`time over ideal: ${spreadOf(this.#overIdeal)}`);
    t.diagnostic(`wasted, % of the file: ${spreadOf(this.#wasted)}`);
  }
}

/** Milliseconds for the first few requests of a source, which are small: nobody knows yet what it can do. */
function firstRequests({ sources }: Fleet): number {
  return 10 * Math.max(...sources.map(({ connectMs, firstByteMs }) => connectMs + firstByteMs));
}

/** Milliseconds for what sources with parts of the file leave to the others: holes, each a request of its own. */
function holes(fleet: Fleet): number {
  return fleet.sources.some(({ part }) => part !== undefined)
    ? (layoutOf(fleet).count * firstRequests(fleet)) / 10
    : 0;
}

/** What a calm fleet may take over its ideal. */
function nearIdeal(fleet: Fleet): Slack {
  const limited = fleet.sources.some(({ perConnection, rate }) => perConnection < (rate[0]?.rate ?? 0));
  // A span lasts twenty waits for an answer, which is 5 %. Finding out how many connections are needed takes its time.
  return limited
    ? { factor: 1.7, ms: 4000 + firstRequests(fleet), chunks: 4 }
    : { factor: 1.07, ms: 400 + firstRequests(fleet), chunks: 1 };
}

describe('the scheduler keeps its promises', () => {
  it('to fleets in which nothing goes wrong', (t) => {
    const comparison = new Comparison();
    holdTo(anyCalmFleet, 300, (fleet) => {
      const run = runPromised(fleet, make);
      comparison.add(fleet, run);
      checkNotSlower(fleet, run, { factor: 1.05, ms: 1000 + firstRequests(fleet), chunks: 4 });
      if (layoutOf(fleet).count >= 10 * fleet.sources.length) checkNearIdeal(fleet, run, nearIdeal(fleet));
    });
    comparison.say(t);
  });

  it('to fleets in which everything goes wrong', (t) => {
    const comparison = new Comparison();
    holdTo(anyTroubledFleet, 350, (fleet) => comparison.add(fleet, runPromised(fleet, make)));
    comparison.say(t);
  });

  it('to fleets in which everything goes wrong but for one source', (t) => {
    const comparison = new Comparison();
    holdTo(anyFleetWithCalmSource, 350, (fleet) => {
      const run = runPromised(fleet, make);
      comparison.add(fleet, run);
      checkNotSlower(fleet, run, { factor: 1.05, ms: 6000 + holes(fleet), chunks: 4 });
    });
    comparison.say(t);
  });

  it('to fleets in which nothing is sure', () => {
    holdTo(anyHopelessFleet, 200, (fleet) => {
      runPromised(fleet, make);
    });
  });
});
