import { BrokenPromise } from './broken-promise.ts';
import type { ChunkBook } from './chunk-book.ts';
import type { Lane } from './lane.ts';
import type { Referee } from './referee.ts';
import type { SimulatedSource } from './source.ts';

/** How much sooner, as a share of the time left and in milliseconds, idle hands must bring the end to count. */
const CLEAR_SHARE = 0.1;
const CLEAR_MS = 200;
/** How long that may go on, milliseconds. */
export const IDLE_MS = 500;
const LOOK_EVERY_MS = 50;
/** After so many milliseconds without a byte nobody counts on a lane any more. */
const STALLED_MS = 1000;
/** Over how long a rate is averaged, milliseconds. */
const AVERAGE_MS = 1000;

interface Known {
  /** Bytes a millisecond lately, over the time in which it was asked for something; undefined before the first. */
  rate: number | undefined;
  received: number;
  /** Milliseconds from a request to its first byte, at the most so far. */
  startMs: number;
  /** Since when it has been idle though it could shorten the end. */
  idleSince: number | undefined;
}

interface Work {
  /** The lane that ends last, its own rate, and when it and the one before it end, milliseconds from now. */
  readonly last: LaneEnd | undefined;
  readonly beforeLastIn: number;
  /** Everyone who has something to do: when he is free, and his rate. */
  readonly hands: readonly Hand[];
  /** Bytes of all missing chunks that may be asked for. */
  readonly missing: number;
  /** When everything is there if who has something to do now does the rest too. */
  readonly endIn: number;
}

interface Hand {
  freeIn: number;
  /** Bytes a millisecond. */
  readonly rate: number;
  readonly startMs: number;
}

interface LaneEnd {
  readonly lane: Lane;
  readonly rate: number;
  readonly endIn: number;
}

/**
 * Promise: no source is idle while it could shorten the end. A source that may be asked and has no request is
 * idle; it could shorten the end when everything would be there clearly sooner, at the rates that were last seen, if
 * it took chunks that nobody owes, or the last chunk, not begun, of the lane that ends last.
 */
export class IdleWatch {
  readonly #book: ChunkBook;
  readonly #referee: Referee;
  readonly #known = new Map<SimulatedSource, Known>();
  #lookedAt = 0;
  /** Longest time in which a source was idle though it could have shortened the end. */
  worst = 0;

  constructor(book: ChunkBook, referee: Referee, sources: ReadonlyMap<number, SimulatedSource>) {
    this.#book = book;
    this.#referee = referee;
    for (const source of sources.values()) {
      this.#known.set(source, { rate: undefined, received: 0, startMs: 0, idleSince: undefined });
    }
  }

  /** A lane's first byte, or head, came. */
  started(source: SimulatedSource, ms: number): void {
    const known = this.#known.get(source);
    if (known !== undefined) known.startMs = Math.max(known.startMs, ms);
  }

  look(now: number, held: boolean): void {
    const passed = now - this.#lookedAt;
    if (passed < LOOK_EVERY_MS) return;
    this.#lookedAt = now;
    for (const [source, known] of this.#known) learn(source, known, passed, held);
    let work: Work | undefined;
    for (const [source, known] of this.#known) {
      const idle = source.joined && source.lanes.size === 0 && this.#referee.isRunning(source.id) && !held;
      if (idle) work ??= this.#work(now);
      const chunk = work !== undefined && idle ? this.#couldTake(source, known, work) : undefined;
      if (chunk === undefined || work === undefined) {
        known.idleSince = undefined;
        continue;
      }
      known.idleSince ??= now;
      this.worst = Math.max(this.worst, now - known.idleSince);
      if (now - known.idleSince <= IDLE_MS) continue;
      throw new BrokenPromise(
        'no source idle',
        now,
        `source ${source.id} has had nothing to do since ${known.idleSince.toFixed(1)} and could take ` +
          `chunk ${chunk} at ${((known.rate ?? Infinity) * 1000).toFixed(0)} bytes a second; ` +
          `the end is ${work.endIn.toFixed(0)} ms away`,
      );
    }
  }

  /** The chunk with which `source` would shorten the end. */
  #couldTake(source: SimulatedSource, known: Known, work: Work): number | undefined {
    const mayTake = (chunk: number): boolean =>
      source.holding.has(chunk) && chunk < this.#book.limit && !this.#book.isBarred(chunk, source.id);
    return this.#ofMissing(known, work, mayTake) ?? this.#ofLast(known, work, mayTake);
  }

  /** The first missing chunk that it can take, when the rest would be done clearly sooner with its help. */
  #ofMissing({ rate, startMs }: Known, work: Work, mayTake: (chunk: number) => boolean): number | undefined {
    if (work.missing === 0) return undefined;
    let first: number | undefined;
    let mine = 0;
    for (let chunk = 0; chunk < this.#book.limit; chunk++) {
      if (!this.#book.isMissing(chunk) || !mayTake(chunk)) continue;
      first ??= chunk;
      mine += this.#book.layout.bytes(chunk);
    }
    if (first === undefined || rate === undefined || work.endIn === Infinity) return first;
    const hands = [...work.hands, { freeIn: 0, rate, startMs, most: mine }];
    return this.#doneIn(hands, work) <= clearlyBefore(work.endIn) ? first : undefined;
  }

  #ofLast({ rate, startMs }: Known, work: Work, mayTake: (chunk: number) => boolean): number | undefined {
    const { endIn, last, beforeLastIn } = work;
    if (last === undefined || rate === undefined || work.missing > 0) return undefined;
    const { layout } = this.#book;
    const chunk = last.lane.to - 1;
    const begun = chunk === last.lane.chunk && last.lane.read > layout.start(chunk);
    // A lane is left with at least one chunk.
    if (chunk <= last.lane.from || begun || !mayTake(chunk)) return undefined;
    const without = last.rate > 0 ? endIn - layout.bytes(chunk) / last.rate : 0;
    const end = Math.max(startMs + layout.bytes(chunk) / rate, without, beforeLastIn);
    return end <= clearlyBefore(endIn) ? chunk : undefined;
  }

  #work(now: number): Work {
    const { layout } = this.#book;
    const ends: LaneEnd[] = [];
    const hands: Hand[] = [];
    for (const [source, { rate, startMs }] of this.#known) {
      if (rate === undefined || source.lanes.size === 0) continue;
      const each = rate / source.lanes.size;
      let freeIn = 0;
      for (const lane of source.lanes) {
        // When a lane that has fallen silent will end is anybody's guess.
        if (!lane.alive || lane.to <= lane.chunk || now - lane.heardAt > STALLED_MS) continue;
        const bytes = layout.start(lane.to) - lane.read;
        const endIn = each > 0 ? bytes / each : Infinity;
        ends.push({ lane, rate: each, endIn });
        freeIn = Math.max(freeIn, endIn);
      }
      if (freeIn > 0 && freeIn < Infinity) hands.push({ freeIn, rate, startMs });
    }
    let missing = 0;
    if (this.#book.missing > 0) {
      for (let chunk = 0; chunk < this.#book.limit; chunk++) {
        if (this.#book.isMissing(chunk)) missing += layout.bytes(chunk);
      }
    }
    const [last, beforeLast] = firstOfRacers(ends).sort((a, b) => b.endIn - a.endIn);
    const beforeLastIn = beforeLast?.endIn ?? 0;
    const work = { last, beforeLastIn, hands, missing, endIn: last?.endIn ?? 0 };
    return { ...work, endIn: this.#doneIn(hands, work) };
  }

  /** When all is there if each missing chunk goes to whom brings it first. */
  #doneIn(hands: readonly (Hand & { readonly most?: number })[], { missing, endIn }: Work): number {
    if (missing === 0) return endIn;
    const chunk = this.#book.layout.bytes(0);
    const free = hands.map((hand) => ({ ...hand, left: hand.most ?? Infinity }));
    let done = endIn;
    for (let bytes = missing; bytes > 0; bytes -= chunk) {
      let best: (typeof free)[number] | undefined;
      let bestIn = Infinity;
      for (const hand of free) {
        const thereIn = hand.freeIn + hand.startMs + Math.min(chunk, bytes) / hand.rate;
        if (thereIn >= bestIn || hand.left <= 0) continue;
        best = hand;
        bestIn = thereIn;
      }
      if (best === undefined) return Infinity;
      best.freeIn = bestIn - best.startMs;
      best.left -= chunk;
      done = Math.max(done, bestIn);
    }
    return done;
  }
}

/** Of lanes that race for the same last chunk, the one that is there first. */
function firstOfRacers(ends: readonly LaneEnd[]): LaneEnd[] {
  const first = new Map<number, LaneEnd>();
  for (const end of ends) {
    const chunk = end.lane.to - 1;
    const rival = first.get(chunk);
    if (rival === undefined || end.endIn < rival.endIn) first.set(chunk, end);
  }
  return [...first.values()];
}

function clearlyBefore(endIn: number): number {
  return endIn - Math.max(CLEAR_MS, endIn * CLEAR_SHARE);
}

function learn(source: SimulatedSource, known: Known, passed: number, held: boolean): void {
  const bytes = source.received - known.received;
  known.received = source.received;
  let flows = false;
  for (const lane of source.lanes) if (lane.stage === 'body') flows = true;
  if ((!flows && bytes === 0) || held) return;
  const rate = bytes / passed;
  const weight = 1 - Math.exp(-passed / AVERAGE_MS);
  known.rate = known.rate === undefined ? rate : known.rate + (rate - known.rate) * weight;
}
