import * as fc from 'fast-check';

import type { Fleet } from './fleet.ts';

/** Seed when none is given: the same fleets in every run of the tests. */
const USUAL_SEED = 20_240_229;
/** Longest that a failing fleet is cut down, milliseconds. */
const MOST_SHRINKING_MS = 20_000;

/**
 * Holds every fleet of a kind to `promise`, which throws when it is broken. What fails is cut down to a small fleet and
 * printed with what reruns it.
 *
 * - `HEADWATER_SEED`: another seed than the usual one; `random` takes a new one.
 * - `HEADWATER_RUNS`: fleets of each kind, instead of `runs`.
 * - `HEADWATER_PATH`: goes straight to the fleet that failed.
 */
export function holdTo(fleets: fc.Arbitrary<Fleet>, runs: number, promise: (fleet: Fleet) => void): void {
  const { HEADWATER_SEED: seed, HEADWATER_RUNS: asked, HEADWATER_PATH: path } = process.env;
  const details = fc.check(fc.property(fleets, promise), {
    seed: seed === 'random' ? Math.trunc(Math.random() * 2 ** 31) : Number(seed ?? USUAL_SEED),
    numRuns: Number(asked ?? runs),
    interruptAfterTimeLimit: MOST_SHRINKING_MS,
    ...(path !== undefined && { path }),
  });
  if (!details.failed) return;
  const why = details.errorInstance instanceof Error ? details.errorInstance.message : 'failed';
  throw new Error(
    `${why}\n` +
      `after ${details.numRuns} fleets; rerun with HEADWATER_SEED=${details.seed} HEADWATER_PATH=${details.counterexamplePath}\n` +
      `the fleet, cut down ${details.numShrinks} times: ${fc.stringify(details.counterexample?.[0])}`,
    { cause: details.errorInstance },
  );
}

/** Fleets of a kind, always the same ones. */
export function someFleets(fleets: fc.Arbitrary<Fleet>, count: number): Fleet[] {
  return fc.sample(fleets, { numRuns: count, seed: USUAL_SEED });
}
