import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { anyCalmFleet, anyFleetWithCalmSource, anyHopelessFleet, anyTroubledFleet } from './any-fleet.ts';
import { MIB } from '../../src/core/chunks.ts';
import { BrokenPromise, type PromiseName } from './broken-promise.ts';
import { calmFleet, type Fleet, steadySource } from './fleet.ts';
import { holdTo, someFleets } from './hold-to.ts';
import { NaiveScheduler } from './naive-scheduler.ts';
import type { Defect } from './naive-state.ts';
import { checkNearIdeal, checkNotSlower, runPromised } from './promises.ts';

const slack = { factor: 1.05, ms: 100, chunks: 0 };

/** What must be noticed of each defect. */
const NOTICED: Readonly<Record<Defect, readonly PromiseName[]>> = {
  'fetches-owed-chunks': ['every chunk once'],
  'uses-busy-slots': ['one request a slot'],
  'reuses-lanes': ['lanes are used once'],
  'ignores-holdings': ['asks only for what is there'],
  'ignores-limit': ['asks only for what is there'],
  'asks-barred-sources': ['asks only for what is there'],
  'ignores-bans': ['asks nobody who is away', 'says what is so'],
  'ignores-retry-after': ['asks nobody who is away'],
  'never-retries': ['always finishes'],
  'loses-cancelled-chunks': [
    'always finishes',
    'no source idle',
    'says what is so',
    'hedges only what is owed',
  ],
  'forgets-a-chunk': ['always finishes', 'no source idle'],
  'cuts-begun-chunks': ['cuts only what has not begun'],
  'hedges-over-budget': ['waste within the budget'],
  'hedges-nothing-owed': ['hedges only what is owed'],
  'forgets-waste': ['waste is counted'],
  'is-impatient': ['patient with those who send'],
  'ignores-holds': ['patient with those who send'],
  spins: ['no live-lock'],
  'never-steals': ['no source idle'],
  // When the one is withdrawn for good, nothing comes any more.
  'uses-one-source': ['no source idle', 'always finishes'],
  'keeps-losers': ['every chunk once', 'waste is counted'],
};

/** The first promise that a broken scheduler breaks on one of these fleets. */
function firstBroken(fleets: readonly Fleet[], defect: Defect): BrokenPromise | undefined {
  for (const fleet of fleets) {
    try {
      runPromised(fleet, (options) => new NaiveScheduler(options, defect));
    } catch (error) {
      if (!(error instanceof BrokenPromise)) throw error;
      return error;
    }
  }
  return undefined;
}

describe('the simulation', () => {
  for (const [kind, fleets] of Object.entries({
    'calm fleets': anyCalmFleet,
    'troubled fleets': anyTroubledFleet,
    'fleets with one calm source': anyFleetWithCalmSource,
    'hopeless fleets': anyHopelessFleet,
  })) {
    it(`finds nothing wrong with a scheduler that is merely naive: ${kind}`, () => {
      holdTo(fleets, 60, (fleet) => {
        runPromised(fleet, (options) => new NaiveScheduler(options));
      });
    });
  }

  const fleets = [...someFleets(anyTroubledFleet, 150), ...someFleets(anyCalmFleet, 50)].filter(
    (fleet) => fleet.size < 2000 * MIB && fleet.sources.length < 10,
  );
  for (const [defect, expected] of Object.entries(NOTICED)) {
    it(`notices a scheduler that ${defect.replaceAll('-', ' ')}`, () => {
      const broken = firstBroken(fleets, defect as Defect);
      assert.ok(broken, 'nothing was noticed');
      assert.ok(expected.includes(broken.promise), `noticed something else: ${broken.message}`);
    });
  }

  it('notices a download that is slower than one source alone', () => {
    const fleet = calmFleet(64 * MIB, [steadySource(MIB / 4), steadySource(64 * MIB)]);
    const run = runPromised(fleet, (options) => new NaiveScheduler(options));
    const late = { ...run, endAt: 2000 };
    checkNotSlower(fleet, run, slack);
    assert.throws(() => checkNotSlower(fleet, late, slack), /not slower than one/);
  });

  it('notices a download that is far from the ideal', () => {
    const fleet = calmFleet(64 * MIB, [steadySource(32 * MIB), steadySource(32 * MIB)]);
    const run = runPromised(fleet, (options) => new NaiveScheduler(options));
    checkNearIdeal(fleet, run, slack);
    const late = { ...run, endAt: 2000 };
    assert.throws(() => checkNearIdeal(fleet, late, slack), /near the ideal/);
  });

  it('knows the ideal of a fleet whose sources come and go', () => {
    const fleet = calmFleet(100 * MIB, [
      steadySource(10 * MIB, { connectMs: 0, firstByteMs: 0 }),
      steadySource(10 * MIB, {
        connectMs: 0,
        firstByteMs: 0,
        troubles: [{ kind: 'stopped', at: 2000, lasts: 2000 }],
      }),
    ]);
    const run = runPromised(fleet, (options) => new NaiveScheduler(options));
    assert.ok(Math.abs(run.idealAt - 6000) < 1, `${run.idealAt}`);
  });
});
