import { Bitmap } from '../../src/core/bitmap.ts';
import { ChunkLayout } from '../../src/core/chunks.ts';
import type { FaultKind } from '../../src/core/scheduler/types.ts';
import { scatter } from './random.ts';

/**
 * A fleet and its weather, written down before it is run: plain values, so that a failing one can be printed, cut
 * down and run again. Times are milliseconds from the start, rates are bytes a second.
 */
export interface Fleet {
  /** Bytes in the file. */
  readonly size: number;
  /** Bytes in a chunk; what core would take when absent. */
  readonly chunkSize?: number;
  /** Most bytes a second that the client's own line carries. */
  readonly downlink: number;
  readonly sources: readonly SourceScript[];
  /** `chunks`: every chunk is checked as it lands. `whole`: only when all is there; then liars are sought. */
  readonly verification: 'chunks' | 'whole';
  /** From a landed chunk to its verdict. */
  readonly verifyMs: number;
  /** From a cancel to the end of its lane. */
  readonly cancelMs: number;
  /** Between two reads of a socket that flows. */
  readonly readMs: number;
  /** When the client reads nothing. */
  readonly holds: readonly Span[];
  /** The client reads for so many milliseconds and rests for so many, over and over: a limit on its rate. */
  readonly rests?: { readonly reads: number; readonly rests: number };
  /** After this share of chunks a lane waits so many milliseconds for memory. */
  readonly memory?: { readonly share: number; readonly ms: number };
  /** How often `decide` is called: after every event, or no more often than a client must. */
  readonly asks: 'eagerly' | 'sparingly';
  /** For output in order: how many chunks past the first missing one may be handed out. */
  readonly window?: number;
  /** What an earlier run left. */
  readonly resumed?: Part;
  readonly mostConnections?: number;
  readonly fixedConnections?: boolean;
  readonly wasteBudget?: number;
  /** Seeds the scheduler's and the world's own randomness. */
  readonly seed: number;
}

export interface Span {
  readonly at: number;
  readonly lasts: number;
}

/** A share of all chunks, scattered by a seed. A larger share of the same seed holds every chunk of a smaller one. */
export interface Part {
  readonly seed: number;
  readonly share: number;
}

export interface SourceScript {
  /** When the scheduler hears of it. */
  readonly joinsAt: number;
  /** Bytes a second over all its connections, from each moment on. The first counts from the start. */
  readonly rate: readonly RateStep[];
  /** Most bytes a second on one connection. */
  readonly perConnection: number;
  /** Rates waver by this share, up and down, several times a second. */
  readonly jitter: number;
  readonly connectMs: number;
  readonly firstByteMs: number;
  /** Connections it answers at once; what is more gets 503. */
  readonly accepts: number;
  /** What it holds when it joins; all when absent. */
  readonly part?: Part;
  /** How what it holds grows: the share from each moment on. */
  readonly grows: readonly { readonly at: number; readonly share: number }[];
  readonly troubles: readonly Trouble[];
}

export interface RateStep {
  readonly at: number;
  readonly rate: number;
}

/** Something that goes wrong on a source, from `at` on and for `lasts` milliseconds. */
export interface Trouble extends Span {
  readonly kind: TroubleKind;
  /** For `unavailable` and `paused`. */
  readonly retryAfter?: number;
  /** For `answers`. */
  readonly fault?: FaultKind;
}

/**
 * - `refuses`: cuts what runs, refuses connections
 * - `resets`: cuts what runs, once
 * - `stopped`: sends nothing, and answers nothing; connections are still accepted (a stopped process)
 * - `unplugged`: sends nothing, and connections are not even refused (a pulled cable)
 * - `unavailable`: goes on with what runs, answers new requests with 503
 * - `paused`: sends nothing on what runs, answers new requests with 503
 * - `answers`: goes on with what runs, answers new requests with a fault of another kind
 * - `lies`: sends wrong bytes
 * - `slow-answer`: takes two seconds more to answer
 * - `withdrawn`: goes on with what runs; the client is told not to ask it for anything new
 * - `gone`: the client is told that it is not there, and cuts what runs
 * - `found-out`: the client finds outside a lane that it holds another file, and bans it
 */
export type TroubleKind =
  | 'refuses'
  | 'resets'
  | 'stopped'
  | 'unplugged'
  | 'unavailable'
  | 'paused'
  | 'answers'
  | 'lies'
  | 'slow-answer'
  | 'withdrawn'
  | 'gone'
  | 'found-out';

/** What a `slow-answer` adds, and how long a connection that nobody refuses takes to fail. */
export const SLOW_ANSWER_MS = 2000;
export const CONNECT_TIMEOUT_MS = 10_000;

export function layoutOf(fleet: Fleet): ChunkLayout {
  return fleet.chunkSize === undefined
    ? new ChunkLayout(fleet.size)
    : new ChunkLayout(fleet.size, fleet.chunkSize);
}

/** The chunks of a part. */
export function bitmapOf(count: number, part: Part): Bitmap {
  const bitmap = new Bitmap(count);
  for (let chunk = 0; chunk < count; chunk++) {
    if (scatter(part.seed, chunk) < part.share) bitmap.add(chunk);
  }
  return bitmap;
}

/** A fleet in which nothing happens, with what the caller says otherwise. */
export function calmFleet(
  size: number,
  sources: readonly SourceScript[],
  otherwise: Partial<Fleet> = {},
): Fleet {
  return {
    size,
    sources,
    downlink: Infinity,
    verification: 'chunks',
    verifyMs: 2,
    cancelMs: 1,
    readMs: 20,
    holds: [],
    asks: 'eagerly',
    seed: 1,
    ...otherwise,
  };
}

/** A source that sends at one rate from the start, with what the caller says otherwise. */
export function steadySource(rate: number, otherwise: Partial<SourceScript> = {}): SourceScript {
  return {
    joinsAt: 0,
    rate: [{ at: 0, rate }],
    perConnection: Infinity,
    jitter: 0,
    connectMs: 1,
    firstByteMs: 2,
    accepts: Infinity,
    grows: [],
    troubles: [],
    ...otherwise,
  };
}

/** Nothing goes wrong on this source. */
export function isCalm(script: SourceScript): boolean {
  return script.troubles.length === 0 && script.accepts === Infinity;
}

/** The last moment at which something of the script begins or ends; from then on all stays as it is. */
export function calmFrom(fleet: Fleet): number {
  const moments = [0];
  for (const { at, lasts } of fleet.holds) moments.push(at, at + lasts);
  for (const source of fleet.sources) {
    moments.push(source.joinsAt);
    for (const { at } of source.rate) moments.push(at);
    for (const { at } of source.grows) moments.push(at);
    for (const { at, lasts } of source.troubles) moments.push(at, at + lasts);
  }
  return Math.max(...moments.filter((moment) => moment < Infinity));
}
