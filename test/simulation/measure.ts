import type { ChunkBook } from './chunk-book.ts';
import type { SimulatedSource } from './source.ts';

/** Connections to count with where a client knows what it needs. */
const MOST_CONNECTIONS = 16;

interface Count {
  readonly source: SimulatedSource;
  /** Bytes that it could have given by now at the most. */
  possible: number;
  /** Bytes it could give in all: the missing chunks that it holds. */
  mostPossible: number;
  /** Bytes that one client using only this source could have by now, with one connection and with many. */
  aloneWithOne: number;
  aloneWithMany: number;
  aloneWithOneAt: number;
  aloneWithManyAt: number;
  /** Connections open, times milliseconds. */
  openMs: number;
  mostOpen: number;
  busyMs: number;
}

/**
 * What could have been, added up while a run goes on: a client that knows every rate and every outage at once and
 * pays nothing for requests. A bound below every real time.
 */
export class Measure {
  readonly #counts: Count[];
  readonly #downlink: number;
  readonly #wanted: number;
  #ideal = 0;
  /** When the ideal client would have had everything. */
  idealAt = Infinity;

  constructor(sources: ReadonlyMap<number, SimulatedSource>, downlink: number, wantedBytes: number) {
    this.#downlink = downlink;
    this.#wanted = wantedBytes;
    if (wantedBytes === 0) this.idealAt = 0;
    this.#counts = [...sources.values()].map((source) => ({
      source,
      possible: 0,
      mostPossible: 0,
      aloneWithOne: 0,
      aloneWithMany: 0,
      aloneWithOneAt: Infinity,
      aloneWithManyAt: Infinity,
      openMs: 0,
      mostOpen: 0,
      busyMs: 0,
    }));
  }

  /** What sources hold has changed. */
  holdings(book: ChunkBook, missingAtStart: (chunk: number) => boolean): void {
    for (const count of this.#counts) {
      if (count.source.holding.count === book.layout.count) {
        count.mostPossible = Infinity;
        continue;
      }
      count.mostPossible = 0;
      for (let chunk = 0; chunk < book.layout.count; chunk++) {
        if (count.source.holding.has(chunk) && missingAtStart(chunk))
          count.mostPossible += book.layout.bytes(chunk);
      }
    }
  }

  /** `ms` milliseconds passed from `now` on in which nothing changed. */
  pass(now: number, ms: number, held: boolean): void {
    let together = 0;
    for (const count of this.#counts) {
      const { source } = count;
      count.openMs += source.open.size * ms;
      count.mostOpen = Math.max(count.mostOpen, source.open.size);
      if (source.lanes.size > 0) count.busyMs += ms;
      if (held || !source.joined) continue;
      const rate = Math.min(source.capacity(now, MOST_CONNECTIONS), this.#downlink) / 1000;
      const bytes = Math.min(rate * ms, count.mostPossible - count.possible);
      count.possible += bytes;
      together += bytes;
      const one = Math.min(source.capacity(now, 1), this.#downlink) / 1000;
      count.aloneWithManyAt = reached(
        count.aloneWithMany,
        rate,
        this.#wanted,
        now,
        ms,
        count.aloneWithManyAt,
      );
      count.aloneWithOneAt = reached(count.aloneWithOne, one, this.#wanted, now, ms, count.aloneWithOneAt);
      count.aloneWithMany += rate * ms;
      count.aloneWithOne += one * ms;
    }
    const rate = ms > 0 ? Math.min(together / ms, this.#downlink / 1000) : 0;
    this.idealAt = reached(this.#ideal, rate, this.#wanted, now, ms, this.idealAt);
    this.#ideal += rate * ms;
  }

  /** When the best of `sources`, asked alone, would have given everything; Infinity when not by now. */
  bestAlone(sources: ReadonlySet<number>): { withOne: number; withMany: number } {
    const best = { withOne: Infinity, withMany: Infinity };
    for (const { source, aloneWithOneAt, aloneWithManyAt } of this.#counts) {
      if (!sources.has(source.id)) continue;
      best.withOne = Math.min(best.withOne, aloneWithOneAt);
      best.withMany = Math.min(best.withMany, aloneWithManyAt);
    }
    return best;
  }

  connections(): SourceConnections[] {
    return this.#counts.map(({ source, openMs, mostOpen, busyMs }) => ({
      source: source.id,
      received: source.received,
      mean: busyMs > 0 ? openMs / busyMs : 0,
      most: mostOpen,
    }));
  }
}

export interface SourceConnections {
  readonly source: number;
  /** Bytes that came from it. */
  readonly received: number;
  /** Connections open on average while it had something to do. */
  readonly mean: number;
  readonly most: number;
}

function reached(before: number, rate: number, wanted: number, now: number, ms: number, at: number): number {
  if (at !== Infinity || rate <= 0 || before + rate * ms < wanted) return at;
  return now + (wanted - before) / rate;
}
