import * as fc from 'fast-check';

import type { Fleet } from './fleet.ts';

/** Seed when none is given: the same fleets in every run of the tests. */
const USUAL_SEED = 20_240_229;
/** Longest that a failing fleet is cut down, milliseconds. */
const MOST_SHRINKING_MS = 10_000;

/**
 * Holds every fleet of a kind to `promise`, which throws when it is broken. What fails is cut down to a small fleet and
 * printed with what reruns it.
 *
 * - `HEADWATER_SEED`: another seed than the usual one; `random` takes a new one.
 * - `HEADWATER_RUNS`: fleets of each kind, instead of `runs`.
 * - `HEADWATER_PATH`: goes straight to the fleet of that number, as printed.
 */
export function holdTo(fleets: fc.Arbitrary<Fleet>, runs: number, promise: (fleet: Fleet) => void): void {
  const { HEADWATER_SEED: seed, HEADWATER_RUNS: asked, HEADWATER_PATH: path } = process.env;
  const property = fc.property(fleets, promise);
  const first = fc.check(property, {
    seed: seed === 'random' ? Math.trunc(Math.random() * 2 ** 31) : Number(seed ?? USUAL_SEED),
    numRuns: Number(asked ?? runs),
    endOnFailure: true,
    ...(path !== undefined && { path }),
  });
  if (!first.failed) return;
  const failedPath = first.counterexamplePath?.split(':')[0] ?? '0';
  const small = fc.check(property, {
    seed: first.seed,
    path: failedPath,
    interruptAfterTimeLimit: MOST_SHRINKING_MS,
  });
  const { errorInstance } = small.failed ? small : first;
  const [fleet] = (small.failed ? small : first).counterexample ?? [];
  const why = errorInstance instanceof Error ? errorInstance.message : 'failed';
  throw new Error(
    `${why}\n` +
      `rerun with HEADWATER_SEED=${first.seed} HEADWATER_PATH=${failedPath}\n` +
      `the fleet, cut down ${small.numShrinks} times: ${fc.stringify(fleet)}`,
    { cause: errorInstance },
  );
}

/** Fleets of a kind, always the same ones. */
export function someFleets(fleets: fc.Arbitrary<Fleet>, count: number): Fleet[] {
  return fc.sample(fleets, { numRuns: count, seed: USUAL_SEED });
}
