import { BrokenPromise } from './broken-promise.ts';
import { calmFrom, type Fleet, layoutOf, type SourceScript } from './fleet.ts';
import type { MakeScheduler } from './scene.ts';
import { type Patience, type Run, runFleet, type RunOptions } from './world.ts';

/** Longest that a scheduler may leave a source alone after faults, milliseconds; Retry-After can make it longer. */
export const MOST_BACKOFF_MS = 60_000;
/** Calls of `decide` that no event asked for: so many a second of a run, and a chunk. */
const MOST_WAKES_A_SECOND = 100;
const MOST_WAKES_A_CHUNK = 4;

const PASSING = [
  'refuses',
  'resets',
  'stopped',
  'unplugged',
  'unavailable',
  'paused',
  'slow-answer',
  'withdrawn',
  'gone',
];

/** An honest source that holds everything in the end and is away for a while at the most. */
export function isAnchor(script: SourceScript): boolean {
  const share = Math.max(script.part?.share ?? 1, ...script.grows.map((step) => step.share));
  const passing = script.troubles.every(({ kind, lasts }) => PASSING.includes(kind) && lasts < Infinity);
  return share >= 1 && passing;
}

/** When a file must be there at the latest; undefined when no source is sure to give all of it. */
export function finishBound(fleet: Fleet): number | undefined {
  const layout = layoutOf(fleet);
  if (layout.count === 0) return 1;
  let best = Infinity;
  for (const script of fleet.sources) {
    if (!isAnchor(script)) continue;
    const lastRate = (script.rate.at(-1)?.rate ?? 0) * (1 - script.jitter);
    const rate = Math.min(lastRate, script.perConnection, fleet.downlink / 4);
    const latency = script.connectMs + script.firstByteMs + 2 * fleet.verifyMs + fleet.cancelMs;
    const inOrder = fleet.window === undefined ? 0 : layout.count * (latency + slowestChunk(fleet));
    best = Math.min(best, (fleet.size / rate) * 1000 + inOrder + 10 * latency);
  }
  if (best === Infinity) return undefined;
  // Each liar that is found only in the end costs up to a whole download more.
  const liars = fleet.sources.filter(({ troubles }) => troubles.some(({ kind }) => kind === 'lies')).length;
  const rounds = fleet.verification === 'whole' && liars > 0 ? 2 * liars + 4 : 1;
  const memory = fleet.memory === undefined ? 0 : layout.count * fleet.memory.share * fleet.memory.ms;
  const flows = slowestChunk(fleet) + (best * 2 + memory) * rounds;
  return calmFrom(fleet) + longestAway(fleet) + 30_000 + flows * restingFactor(fleet);
}

/** How much longer everything takes for a client that rests. */
function restingFactor({ rests }: Fleet): number {
  return rests === undefined ? 1 : 1 + rests.rests / rests.reads;
}

/** How long the slowest source may keep a chunk that nobody else fetches once the budget for hedges is spent. */
function slowestChunk(fleet: Fleet): number {
  const lanes = fleet.mostConnections ?? 16;
  const slowest = fleet.sources.map(({ rate, jitter, perConnection }) => {
    const least = Math.min(...rate.map((step) => step.rate)) * (1 - jitter);
    return Math.min(least / lanes, perConnection);
  });
  const shared = fleet.downlink / (lanes * fleet.sources.length);
  return (layoutOf(fleet).bytes(0) / Math.min(shared, ...slowest)) * 1000;
}

/** How long a fleet is watched, also one of which nobody can say that it will finish. */
export function patienceWith(fleet: Fleet): Patience {
  const quiet = (longestAway(fleet) + 30_000) * restingFactor(fleet);
  return { horizon: finishBound(fleet) ?? calmFrom(fleet) + 2 * quiet, quiet };
}

/** Longest time for which a scheduler may leave a source alone. */
function longestAway(fleet: Fleet): number {
  const asked = fleet.sources.flatMap(({ troubles }) => troubles.map(({ retryAfter }) => retryAfter ?? 0));
  return Math.max(MOST_BACKOFF_MS, ...asked);
}

/** What may come on top of a bound. */
export interface Slack {
  /** Of everything: requests, rates that are not known at once. */
  readonly factor: number;
  /** Start, and finding out that a source is away. */
  readonly ms: number;
  /** Chunks' worth of the bound: nobody knows at the start who will be slow with the chunk he is given. */
  readonly chunks: number;
}

/** Runs a fleet and holds it to the promises that hold for every fleet. */
export function runPromised(fleet: Fleet, make: MakeScheduler, options: RunOptions = {}): Run {
  const run = runFleet(fleet, make, patienceWith(fleet), options);
  const seconds = run.lastedMs / 1000;
  const chunks = layoutOf(fleet).count;
  if (run.endAt === undefined && finishBound(fleet) !== undefined) {
    throw new BrokenPromise(
      'always finishes',
      run.lastedMs,
      'it is not done, though an honest source holds all',
    );
  }
  const mostWakes = 100 + MOST_WAKES_A_SECOND * seconds + MOST_WAKES_A_CHUNK * chunks;
  if (run.wakes > mostWakes) {
    throw new BrokenPromise(
      'no live-lock',
      seconds * 1000,
      `decide asked ${run.wakes} times to be called again`,
    );
  }
  if (
    run.tailFrom !== undefined &&
    run.endAt !== undefined &&
    !(run.tailFrom >= 0 && run.tailFrom <= run.endAt)
  ) {
    throw new BrokenPromise('says what is so', run.endAt, `the tail begins at ${run.tailFrom}`);
  }
  return run;
}

/**
 * Never slower than the best source alone, with one connection, that stays calm and holds everything. Says nothing
 * of fleets whose client itself is in the way: output in order, too little memory, no leave to hedge; nor of
 * downloads that had to be done again for a liar.
 */
export function checkNotSlower(fleet: Fleet, run: Run, { factor, ms, chunks }: Slack): void {
  if (run.endAt === undefined || run.reopened) return;
  if (fleet.window !== undefined || fleet.memory !== undefined || fleet.wasteBudget !== undefined) return;
  const { count } = layoutOf(fleet);
  // With fewer chunks than sources, most are never measured: which of them is the best is luck.
  if (count < 2 * fleet.sources.length) return;
  const bound = run.alone.withOne * factor + ms + (run.alone.withOne / count) * chunks;
  if (run.endAt <= bound) return;
  const what = `it is done; one source alone would have been after ${run.alone.withOne.toFixed(0)} ms`;
  throw new BrokenPromise('not slower than one', run.endAt, what);
}

/** As fast as all of them together could have been, within a factor, a constant and the last chunks. */
export function checkNearIdeal(fleet: Fleet, run: Run, { factor, ms, chunks }: Slack): void {
  const chunkMs = run.idealAt / Math.max(1, layoutOf(fleet).count);
  if (run.endAt === undefined || run.endAt <= run.idealAt * factor + ms + chunkMs * chunks) return;
  const what = `it is done; ${run.idealAt.toFixed(0)} ms would have been ideal`;
  throw new BrokenPromise('near the ideal', run.endAt, what);
}
