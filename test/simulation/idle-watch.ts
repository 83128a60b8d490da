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
  /** When all is there at known rates, milliseconds from now. */
  readonly endIn: number;
  /** Bytes a millisecond of all who have something to do. */
  readonly rates: number;
  /** The lane that ends last, its own rate, and when the one before it ends. */
  readonly last: Lane | undefined;
  readonly lastRate: number;
  readonly beforeLastIn: number;
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
      if (idle) work ??= this.#work();
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

  /** As many missing chunks as it can bring before the others are done with the rest. */
  #ofMissing({ rate, startMs }: Known, work: Work, mayTake: (chunk: number) => boolean): number | undefined {
    if (this.#book.missing === 0) return undefined;
    let first: number | undefined;
    let bytes = 0;
    for (let chunk = 0; chunk < this.#book.limit; chunk++) {
      if (!this.#book.isMissing(chunk) || !mayTake(chunk)) continue;
      first ??= chunk;
      if (rate === undefined || work.endIn === Infinity) return first;
      bytes += this.#book.layout.bytes(chunk);
      const sooner = work.endIn - bytes / work.rates;
      if (startMs + bytes / rate > sooner) return undefined;
      if (sooner <= clearlyBefore(work.endIn)) return first;
    }
    return undefined;
  }

  #ofLast({ rate, startMs }: Known, work: Work, mayTake: (chunk: number) => boolean): number | undefined {
    const { endIn, last, lastRate, beforeLastIn } = work;
    if (last === undefined || rate === undefined) return undefined;
    const { layout } = this.#book;
    const chunk = last.to - 1;
    const begun = chunk === last.chunk && last.read > layout.start(chunk);
    // A lane is left with at least one chunk.
    if (chunk <= last.from || begun || !mayTake(chunk)) return undefined;
    const without = lastRate > 0 ? endIn - layout.bytes(chunk) / lastRate : 0;
    const end = Math.max(startMs + layout.bytes(chunk) / rate, without, beforeLastIn);
    return end <= clearlyBefore(endIn) ? chunk : undefined;
  }

  #work(): Work {
    const { layout } = this.#book;
    let left = 0;
    let rates = 0;
    let latest = 0;
    let beforeLastIn = 0;
    let last: Lane | undefined;
    let lastRate = 0;
    for (const [source, known] of this.#known) {
      if (known.rate === undefined || source.lanes.size === 0) continue;
      rates += known.rate;
      const each = known.rate / source.lanes.size;
      for (const lane of source.lanes) {
        if (!lane.alive || lane.to <= lane.chunk) continue;
        const bytes = layout.start(lane.to) - lane.read;
        left += bytes;
        const endIn = each > 0 ? bytes / each : Infinity;
        if (endIn > latest) {
          beforeLastIn = latest;
          latest = endIn;
          last = lane;
          lastRate = each;
        } else {
          beforeLastIn = Math.max(beforeLastIn, endIn);
        }
      }
    }
    left += this.#book.missing * layout.bytes(0);
    const together = rates > 0 ? left / rates : left > 0 ? Infinity : 0;
    return { endIn: Math.max(latest, together), rates, last, lastRate, beforeLastIn };
  }
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
