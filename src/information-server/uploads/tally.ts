import { Bitmap } from '../../core/bitmap.ts';
import { MOST_MISSING_RANGES } from './limits.ts';
import type { StoreRow } from './store-servers.ts';

/** How often each chunk is to be there. */
export interface Wanted {
  readonly replicas: number;
  readonly zones: number;
}

/** What a server holds of a file. Bitmap of chunk numbers; null: all. */
export interface FoundHolding {
  readonly server: StoreRow;
  readonly chunks: Uint8Array | null;
}

/** Which server has which chunk of a manifest, as they say themselves. The same chunk at two places is asked for once. */
export class Tally {
  /** Different digests. */
  readonly digests: readonly string[];
  /** Servers that gave no good answer. */
  readonly silent = new Set<StoreRow>();
  need: Wanted = { replicas: 1, zones: 1 };
  readonly #chunks: readonly string[];
  readonly #indexOf: ReadonlyMap<string, number>;
  readonly #has: ReadonlyMap<StoreRow, Bitmap>;

  constructor(chunks: readonly string[], stores: readonly StoreRow[]) {
    this.#chunks = chunks;
    this.digests = [...new Set(chunks)];
    this.#indexOf = new Map(this.digests.map((digest, index) => [digest, index]));
    this.#has = new Map(stores.map((row) => [row, new Bitmap(this.digests.length)]));
  }

  /** @param index of one of `digests` */
  found(index: number, server: StoreRow): void {
    this.#has.get(server)?.add(index);
  }

  /** Indexes of `digests` that lack copies. */
  short(): number[] {
    const { replicas, zones } = this.need;
    return this.digests.flatMap((_, index) => {
      const holders = [...this.#has].filter(([, bits]) => bits.has(index)).map(([row]) => row);
      const isEnough = holders.length >= replicas && new Set(holders.map(({ zone }) => zone)).size >= zones;
      return isEnough ? [] : [index];
    });
  }

  /** Chunk numbers that lack copies, as ranges [first, last]. */
  missing(): [number, number][] {
    const short = new Set(this.short());
    const ranges: [number, number][] = [];
    for (const [chunk, digest] of this.#chunks.entries()) {
      if (!short.has(this.#indexOf.get(digest) ?? -1)) continue;
      const last = ranges.at(-1);
      if (last !== undefined && last[1] === chunk - 1) last[1] = chunk;
      else if (ranges.length === MOST_MISSING_RANGES) break;
      else ranges.push([chunk, chunk]);
    }
    return ranges;
  }

  /** What each server holds of the file; those that hold nothing are left out. */
  holdings(): FoundHolding[] {
    const holdings: FoundHolding[] = [];
    for (const [server, bits] of this.#has) {
      if (bits.count > 0) holdings.push({ server, chunks: this.#chunksOf(bits) });
    }
    return holdings;
  }

  #chunksOf(bits: Bitmap): Uint8Array | null {
    if (bits.count === this.digests.length) return null;
    const chunks = new Bitmap(this.#chunks.length);
    for (const [chunk, digest] of this.#chunks.entries()) {
      if (bits.has(this.#indexOf.get(digest) ?? -1)) chunks.add(chunk);
    }
    return chunks.bytes;
  }
}
