import { Bitmap } from '../bitmap.ts';
import type { ChunkLayout } from '../chunks.ts';
import { offers, type Lane, type Source } from './state.ts';

const MISSING = 0;
const OWED = 1;
const DONE = 2;

/** Who owes which chunk, and what nobody owes yet. */
export class Ledger {
  readonly layout: ChunkLayout;
  readonly done: Bitmap;
  /** Bytes of chunks that are missing. */
  missingBytes = 0;
  /** Only chunks below this are handed out. */
  limit: number;
  readonly #state: Uint8Array;
  readonly #owners: (Lane | undefined)[];
  /** The second lane of a chunk that two lanes owe. */
  readonly #rivals = new Map<number, Lane>();
  /** How many running sources hold each chunk; counted when somebody wants to know. */
  #holders: Uint16Array | undefined;
  /** No chunk below this is missing. */
  #front = 0;

  constructor(layout: ChunkLayout, done: Bitmap | undefined) {
    this.layout = layout;
    this.done = new Bitmap(layout.count, done?.bytes);
    this.limit = layout.count;
    this.#state = new Uint8Array(layout.count);
    this.#owners = Array.from({ length: layout.count });
    for (let chunk = 0; chunk < layout.count; chunk++) {
      if (this.done.has(chunk)) this.#state[chunk] = DONE;
      else this.missingBytes += layout.bytes(chunk);
    }
  }

  get finished(): boolean {
    return this.done.count === this.layout.count;
  }

  isMissing(chunk: number): boolean {
    return this.#state[chunk] === MISSING;
  }

  isDone(chunk: number): boolean {
    return this.#state[chunk] === DONE;
  }

  rivalOf(lane: Lane, chunk: number): Lane | undefined {
    const owner = this.#owners[chunk];
    const rival = this.#rivals.get(chunk);
    return owner === lane ? rival : rival === lane ? owner : undefined;
  }

  /** The lane is the first to owe the chunk that it fetches now. */
  isOwner(lane: Lane): boolean {
    return this.#owners[lane.next] === lane;
  }

  isHedged(chunk: number): boolean {
    return this.#rivals.has(chunk);
  }

  /** The chunk is `lane`'s to fetch, beside its owner when it has one already. */
  owe(chunk: number, lane: Lane): void {
    if (this.#state[chunk] === MISSING) {
      this.#state[chunk] = OWED;
      this.#owners[chunk] = lane;
      this.missingBytes -= this.layout.bytes(chunk);
    } else {
      this.#rivals.set(chunk, lane);
    }
  }

  /** `lane` has nothing more to do with the chunk: it is missing again unless another lane owes it. */
  release(chunk: number, lane: Lane): void {
    const rival = this.#rivals.get(chunk);
    if (rival === lane) {
      this.#rivals.delete(chunk);
    } else if (this.#owners[chunk] === lane) {
      this.#rivals.delete(chunk);
      this.#owners[chunk] = rival;
      if (this.#state[chunk] === DONE) return;
      if (rival === undefined) this.#miss(chunk);
    }
  }

  /** True when the chunk was not done before. */
  finish(chunk: number): boolean {
    if (this.#state[chunk] === DONE) return false;
    if (this.#state[chunk] === MISSING) this.missingBytes -= this.layout.bytes(chunk);
    this.#state[chunk] = DONE;
    this.done.add(chunk);
    return true;
  }

  /** A done chunk is wrong after all. A lane that lost it but has not ended keeps it till then: it may still be writing. */
  reopen(chunk: number): void {
    if (this.#state[chunk] !== DONE) return;
    this.done.delete(chunk);
    const late = [this.#owners[chunk], this.#rivals.get(chunk)].find(
      (lane) => lane?.ended === false && lane.next <= chunk,
    );
    this.#owners[chunk] = late;
    this.#rivals.delete(chunk);
    this.#miss(chunk);
    if (late !== undefined) this.owe(chunk, late);
  }

  #miss(chunk: number): void {
    this.#state[chunk] = MISSING;
    this.missingBytes += this.layout.bytes(chunk);
    this.#front = Math.min(this.#front, chunk);
  }

  /** The source holds something that is not done. */
  hasUseFor(source: Source): boolean {
    for (let chunk = 0; chunk < this.layout.count; chunk++)
      if (this.#state[chunk] !== DONE && offers(source, chunk)) return true;
    return false;
  }

  /** Something is missing that may be handed out now. */
  get open(): boolean {
    return this.#first() < this.limit;
  }

  #first(): number {
    while (this.#front < this.layout.count && this.#state[this.#front] !== MISSING) this.#front++;
    return this.#front;
  }

  /**
   * The run of missing chunks that `source` should fetch next, at most `most` long: the foremost one, so that the file
   * grows from its front; where some sources hold only parts, the foremost of those that the fewest can give.
   */
  run(source: Source, most: number, others: readonly Source[]): { from: number; to: number } | undefined {
    const from = others.some((each) => each.has !== undefined)
      ? this.#rarest(source, others)
      : this.#foremost(source);
    if (from === undefined) return undefined;
    let to = from + 1;
    const end = Math.min(this.limit, from + most);
    while (to < end && this.#state[to] === MISSING && offers(source, to)) to++;
    return { from, to };
  }

  #foremost(source: Source): number | undefined {
    for (let chunk = this.#first(); chunk < this.limit; chunk++) {
      if (this.#state[chunk] === MISSING && offers(source, chunk)) return chunk;
    }
    return undefined;
  }

  /** Which sources run, or what they hold, has changed. */
  holdersChanged(): void {
    this.#holders = undefined;
  }

  #countHolders(sources: readonly Source[]): Uint16Array {
    const holders = new Uint16Array(this.layout.count);
    for (const source of sources) {
      if (source.state !== 'running') continue;
      for (let chunk = 0; chunk < holders.length; chunk++)
        if (offers(source, chunk)) holders[chunk] = (holders[chunk] ?? 0) + 1;
    }
    return holders;
  }

  #rarest(source: Source, others: readonly Source[]): number | undefined {
    let best: number | undefined;
    let fewest = Infinity;
    const holders = (this.#holders ??= this.#countHolders(others));
    for (let chunk = this.#first(); chunk < this.limit; chunk++) {
      if (this.#state[chunk] !== MISSING || !offers(source, chunk)) continue;
      const held = holders[chunk] ?? 0;
      if (held < fewest) [best, fewest] = [chunk, held];
      if (fewest <= 1) break;
    }
    return best;
  }
}
