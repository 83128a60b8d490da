import type { Bitmap } from '../bitmap.ts';
import { RateMeter } from './rate.ts';

/** A hedge and its rival: what both waste together is at most what was held back for them. */
export interface Pair {
  readonly reserved: number;
  /** Lanes of the pair that are not over. */
  lanes: number;
}

/** One request on one connection. */
export interface Lane {
  readonly id: number;
  readonly source: Source;
  readonly slot: number;
  /** First chunk of the span. */
  readonly from: number;
  /** One past the last chunk that is still this lane's. */
  to: number;
  /** The chunk whose bytes come next; everything before it has landed. */
  next: number;
  /** Bytes of `next` that are here. */
  partial: number;
  readonly hedge: boolean;
  readonly startedAt: number;
  /** Those of its source when it began. */
  readonly strikes: number;
  /** When its head, or its last bytes, came; the start before that. */
  activeAt: number;
  headAt: number | undefined;
  /** Since when we do not read from it; undefined: we do. */
  heldAt: number | undefined;
  /** Milliseconds for which we have not read from it since `activeAt`. */
  heldTime: number;
  /** The same, long pauses counted in part. */
  pauses: number;
  cancelled: boolean;
  ended: boolean;
  /** Chunks that landed and are not judged yet. */
  unjudged: number;
  pair: Pair | undefined;
  readonly meter: RateMeter;
}

/** Where bytes come from, as far as the scheduler knows it. */
export interface Source {
  readonly id: number;
  /** Chunks it holds; undefined: all. */
  has: Bitmap | undefined;
  /** Chunks it is not asked for though it holds them. */
  readonly not: Set<number>;
  state: 'running' | 'waiting' | 'banned';
  retryAt: number;
  /** It waits to be recalled, whatever `retryAt` says. */
  withdrawn: boolean;
  /** Faults in a row without a landed chunk between them. */
  strikes: number;
  /** After a fault: one connection and one chunk until something lands. */
  trial: boolean;
  failures: number;
  badChunks: number;
  /** Connections it should have. */
  target: number;
  /** Lane in each slot. */
  readonly slots: (Lane | undefined)[];
  /** Slots whose connection has answered and was not closed since. */
  readonly open: Set<number>;
  readonly meter: RateMeter;
  /** Bytes it ever sent; for connection trials. */
  total: number;
  /** Longest usual gap between bytes, milliseconds; decays. */
  gap: number;
  /** Least and longest time from request to head seen, milliseconds. */
  leastWait: number | undefined;
  mostWait: number;
  /** Chunks of the last span, for growing step by step. */
  lastSpan: number;
  /** Not to be given more connections before this time, and for how long the next refusal holds. */
  settledUntil: number;
  settledFor: number;
}

export function newSource(id: number, now: number, has: Bitmap | undefined, target: number): Source {
  return {
    id,
    has,
    not: new Set(),
    state: 'running',
    retryAt: now,
    withdrawn: false,
    strikes: 0,
    trial: false,
    failures: 0,
    badChunks: 0,
    target,
    slots: [],
    open: new Set(),
    meter: new RateMeter(now),
    total: 0,
    gap: 0,
    leastWait: undefined,
    mostWait: 0,
    lastSpan: 0,
    settledUntil: now,
    settledFor: 0,
  };
}

export function busyLanes(source: Source): Lane[] {
  return source.slots.filter((lane) => lane !== undefined);
}

/** A running source may be asked for this chunk. */
export function offers(source: Source, chunk: number): boolean {
  return (source.has?.has(chunk) ?? true) && !source.not.has(chunk);
}

/** A request for chunks `from` to `to` that is about to be sent. */
export function newLane(
  id: number,
  source: Source,
  span: { from: number; to: number },
  hedge: boolean,
  now: number,
): Lane {
  return {
    id,
    source,
    slot: freeSlot(source),
    from: span.from,
    to: span.to,
    next: span.from,
    partial: 0,
    hedge,
    startedAt: now,
    strikes: source.strikes,
    activeAt: now,
    headAt: undefined,
    heldAt: undefined,
    heldTime: 0,
    pauses: 0,
    cancelled: false,
    ended: false,
    unjudged: 0,
    pair: undefined,
    meter: new RateMeter(now),
  };
}

function freeSlot(source: Source): number {
  let slot = 0;
  while (source.slots[slot] !== undefined) slot++;
  return slot;
}
