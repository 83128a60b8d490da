import * as fc from 'fast-check';

import { chunkSizeFor, MIB } from '../../src/core/chunks.ts';
import type { FaultKind } from '../../src/core/scheduler/types.ts';
import type { Fleet, SourceScript, Span, Trouble, TroubleKind } from './fleet.ts';

/** Numbers spread evenly over the orders of magnitude between `least` and `most`; shrink towards `least`. */
function spread(least: number, most: number): fc.Arbitrary<number> {
  return fc
    .integer({ min: 0, max: 1000 })
    .map((thousandths) => least * (most / least) ** (thousandths / 1000));
}

function share(most = 1): fc.Arbitrary<number> {
  return fc.integer({ min: 0, max: 1000 }).map((thousandths) => (most * thousandths) / 1000);
}

function sometimes<T, U>(arbitrary: fc.Arbitrary<T>, otherwise: U, every = 4): fc.Arbitrary<T | U> {
  return fc.oneof({ arbitrary: fc.constant(otherwise), weight: every - 1 }, { arbitrary, weight: 1 });
}

const anySeed = fc.integer({ min: 1, max: 1_000_000 });

/** Bytes: nothing, a byte, just about a chunk, a few chunks, many, and more than 4,096 of the smallest. */
const anySize = fc.oneof(
  { arbitrary: fc.constantFrom(0, 1, MIB - 1, MIB, MIB + 1, 3 * MIB), weight: 1 },
  { arbitrary: fc.integer({ min: 1, max: 12 * MIB }), weight: 2 },
  { arbitrary: spread(12 * MIB, 400 * MIB).map(Math.round), weight: 8 },
  { arbitrary: spread(400 * MIB, 40_000 * MIB).map(Math.round), weight: 1 },
);

/** What a source is, in shares of the fleet's whole rate and of the time that the file would take. */
interface Sketch {
  readonly weight: number;
  readonly perConnection: number;
  readonly jitter: number;
  readonly connectMs: number;
  readonly firstByteMs: number;
  readonly accepts: number;
  readonly joins: number;
  readonly steps: readonly { at: number; factor: number }[];
  readonly part: { seed: number; share: number } | undefined;
  readonly grows: readonly { at: number; share: number }[];
  readonly troubles: readonly TroubleSketch[];
}

interface TroubleSketch {
  readonly kind: TroubleKind;
  readonly at: number;
  /** A share of the time that the file would take, and milliseconds on top. */
  readonly lasts: number;
  readonly lastsMs: number;
  readonly retryAfter: number | undefined;
  readonly fault: FaultKind | undefined;
}

const calmSketch: fc.Arbitrary<Sketch> = fc.record({
  weight: spread(1, 30),
  perConnection: sometimes(spread(0.04, 1), Infinity),
  jitter: fc.constantFrom(0, 0, 0.1, 0.4),
  connectMs: spread(0.2, 120),
  firstByteMs: spread(0.2, 120),
  accepts: fc.constant(Infinity),
  joins: fc.constant(0),
  steps: fc.constant([]),
  part: fc.constant(undefined),
  grows: fc.constant([]),
  troubles: fc.constant([]),
});

const PASSING_KINDS = [
  'refuses',
  'resets',
  'stopped',
  'unplugged',
  'unavailable',
  'paused',
  'slow-answer',
  'withdrawn',
  'gone',
] as const;

const FINAL_KINDS = ['lies', 'answers', 'found-out'] as const;

const FAULTS: readonly FaultKind[] = [
  'protocol',
  'not-found',
  'not-allowed',
  'no-ranges',
  'wrong-range',
  'changed',
  'redirect',
  'tls',
];

const steps = fc.array(fc.record({ at: share(1.5), factor: spread(0.05, 3) }), { maxLength: 3 });

function troubles(kinds: readonly TroubleKind[], forever: boolean): fc.Arbitrary<TroubleSketch[]> {
  const trouble = fc.record({
    kind: fc.constantFrom(...kinds),
    at: share(1.3),
    lasts: share(0.7),
    lastsMs: forever
      ? fc.oneof(spread(1, 20_000), spread(1, 20_000), fc.constant(Infinity))
      : spread(1, 20_000),
    retryAfter: sometimes(spread(1, 20_000).map(Math.round), undefined, 2),
    fault: fc.constantFrom(...FAULTS),
  });
  return fc.array(trouble, { maxLength: 3 });
}

/** Holds everything, tells the truth, and is away for a while at the most. */
const anchorSketch = fc
  .tuple(
    calmSketch,
    fc.record({
      joins: sometimes(share(1.2), 0),
      accepts: sometimes(fc.integer({ min: 1, max: 20 }), Infinity),
      steps,
      troubles: troubles(PASSING_KINDS, false),
    }),
  )
  .map(([calm, more]): Sketch => ({ ...calm, ...more }));

const wildSketch = fc
  .tuple(
    calmSketch,
    fc.record({
      joins: sometimes(share(1.2), 0),
      accepts: sometimes(fc.integer({ min: 1, max: 20 }), Infinity),
      steps,
      part: sometimes(fc.record({ seed: anySeed, share: share() }), undefined, 3),
      grows: fc.array(fc.record({ at: share(1.5), share: share() }), { maxLength: 3 }),
      troubles: troubles([...PASSING_KINDS, ...PASSING_KINDS, ...FINAL_KINDS], true),
    }),
  )
  .map(([calm, more]): Sketch => ({ ...calm, ...more }));

/** The fleet around the sources. */
interface Frame {
  readonly size: number;
  readonly chunkSize: number | undefined;
  /** How long the file would take if all sources sent as they should, milliseconds. */
  readonly takes: number;
  readonly downlink: number;
  readonly seed: number;
  readonly verifyMs: number;
  readonly cancelMs: number;
  readonly readMs: number;
  readonly asks: 'eagerly' | 'sparingly';
}

const frame: fc.Arbitrary<Frame> = fc.record({
  size: anySize,
  chunkSize: sometimes(spread(64 * 1024, 8 * MIB).map(Math.round), undefined, 6),
  takes: spread(50, 60_000),
  downlink: sometimes(spread(0.1, 1.2), Infinity),
  seed: anySeed,
  verifyMs: spread(0.1, 40),
  cancelMs: spread(0.1, 20),
  readMs: spread(2, 60),
  asks: fc.constantFrom('eagerly', 'sparingly'),
});

const wildFrame = fc.record({
  verification: sometimes(fc.constant('whole' as const), 'chunks' as const),
  holds: sometimes<Span[], Span[]>(
    fc.array(fc.record({ at: share(1.2), lasts: spread(1, 40_000) }), { maxLength: 3 }),
    [],
    3,
  ),
  rests: sometimes(fc.record({ reads: spread(5, 200), rests: spread(5, 200) }), undefined, 8),
  memory: sometimes(fc.record({ share: share(0.5), ms: spread(1, 3000) }), undefined, 6),
  window: sometimes(spread(1, 64).map(Math.round), undefined, 5),
  resumed: sometimes(fc.record({ seed: anySeed, share: share() }), undefined, 5),
  mostConnections: sometimes(fc.integer({ min: 1, max: 20 }), undefined, 5),
  fixedConnections: sometimes(fc.constant(true), undefined, 10),
  wasteBudget: sometimes(fc.oneof(spread(1, 8), fc.constant(0)), undefined, 6),
});

/** Least bytes a second of a source. */
const LEAST_RATE = 20_000;
/** Most bytes a second of all sources together. */
const MOST_RATE = 10e9;
/** Least part of what all sources send together that one can fall to: keeps runs of the slowest one in bounds. */
const LEAST_PART = 0.005;
/** More chunks than core makes of any file would only make runs slow. */
const MOST_CHUNKS = 4096;

function scriptOf(sketch: Sketch, whole: number, ofWhole: number, takes: number): SourceScript {
  const least = Math.max(LEAST_RATE, whole * LEAST_PART);
  const rate = Math.max(whole * ofWhole, least);
  const {
    weight: _weight,
    perConnection,
    joins,
    steps: changes,
    part,
    grows,
    troubles: bad,
    ...rest
  } = sketch;
  return {
    ...rest,
    joinsAt: joins * takes,
    rate: [
      { at: 0, rate },
      ...changes
        .map(({ at, factor }) => ({ at: at * takes, rate: Math.max(least, rate * factor) }))
        .sort((a, b) => a.at - b.at),
    ],
    perConnection: Math.max(LEAST_RATE, least / 4, perConnection * rate),
    ...(part !== undefined && { part }),
    grows: part === undefined ? [] : grows.map(({ at, share }) => ({ at: at * takes, share })),
    troubles: bad.map((each) => troubleOf(each, takes)),
  };
}

function troubleOf(sketch: TroubleSketch, takes: number): Trouble {
  const { kind, at, lasts, lastsMs, retryAfter, fault } = sketch;
  return {
    kind,
    at: at * takes,
    lasts: lasts * takes + lastsMs,
    ...(retryAfter !== undefined && (kind === 'paused' || kind === 'unavailable') && { retryAfter }),
    ...(fault !== undefined && kind === 'answers' && { fault }),
  };
}

function fleetOf(frame: Frame, sketches: readonly Sketch[]): Fleet {
  const { chunkSize, takes: wanted, ...rest } = frame;
  const takes = Math.max(wanted, (frame.size / MOST_RATE) * 1000);
  const whole = Math.max((frame.size / takes) * 1000, LEAST_RATE * sketches.length);
  const weights = sketches.reduce((sum, { weight }) => sum + weight, 0);
  return {
    ...rest,
    ...(chunkSize !== undefined && {
      chunkSize: Math.max(chunkSize, Math.ceil(frame.size / MOST_CHUNKS), 1),
    }),
    downlink: Math.max(whole * frame.downlink, LEAST_RATE * sketches.length),
    readMs: Math.max(frame.readMs, takes / 2000),
    sources: sketches.map((sketch) => scriptOf(sketch, whole, sketch.weight / weights, takes)),
    verification: 'chunks',
    holds: [],
  };
}

function someOf(sketch: fc.Arbitrary<Sketch>, least: number): fc.Arbitrary<Sketch[]> {
  return fc.oneof(
    { arbitrary: fc.array(sketch, { minLength: least, maxLength: 6 }), weight: 8 },
    { arbitrary: fc.array(sketch, { minLength: least, maxLength: 64, size: 'max' }), weight: 1 },
  );
}

/** Nothing goes wrong; every source holds everything and is there from the start. */
export const anyCalmFleet: fc.Arbitrary<Fleet> = fc
  .tuple(frame, someOf(calmSketch, 1))
  .map(([rest, sketches]) => fleetOf(rest, sketches));

function wild(sketches: fc.Arbitrary<Sketch[]>): fc.Arbitrary<Fleet> {
  return fc.tuple(frame, wildFrame, sketches).map(([rest, more, all]) => {
    const fleet = fleetOf(rest, all);
    const { rests, memory, window, resumed, mostConnections, fixedConnections, wasteBudget } = more;
    const chunk = fleet.chunkSize ?? chunkSizeFor(fleet.size);
    return {
      ...fleet,
      verification: more.verification,
      holds: apart(more.holds.map(({ at, lasts }) => ({ at: at * rest.takes, lasts }))),
      ...(rests !== undefined && { rests }),
      ...(memory !== undefined && { memory }),
      ...(window !== undefined && { window }),
      ...(resumed !== undefined && { resumed }),
      ...(mostConnections !== undefined && { mostConnections }),
      ...(fixedConnections !== undefined && { fixedConnections }),
      ...(wasteBudget !== undefined && { wasteBudget: Math.round(wasteBudget * chunk) }),
    };
  });
}

/** In order, none beginning before the one before it has ended. */
function apart(spans: readonly Span[]): Span[] {
  let free = 0;
  return [...spans]
    .sort((a, b) => a.at - b.at)
    .map(({ at, lasts }) => {
      const from = Math.max(at, free);
      free = from + lasts + 1;
      return { at: from, lasts };
    });
}

/** Everything goes wrong, but one honest source that holds everything is there in the end. */
export const anyTroubledFleet: fc.Arbitrary<Fleet> = wild(
  fc.tuple(anchorSketch, someOf(wildSketch, 0)).map(([anchor, others]) => [anchor, ...others]),
);

/** The same, with a source besides for which nothing at all goes wrong. */
export const anyFleetWithCalmSource: fc.Arbitrary<Fleet> = wild(
  fc.tuple(calmSketch, someOf(wildSketch, 1)).map(([calm, others]) => [calm, ...others]),
);

/** Everything goes wrong, and nothing is sure. */
export const anyHopelessFleet: fc.Arbitrary<Fleet> = wild(someOf(wildSketch, 1));
