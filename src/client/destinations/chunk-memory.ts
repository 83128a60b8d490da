/** At least this many chunks fit, however large they are: one goes out while the next comes in. */
const LEAST_CHUNKS = 2;
/** Part of the memory that is kept for fetching a chunk a second time. */
const SPARE_PART = 0.25;

/** Memory for whole chunks that wait for their turn. */
export class ChunkMemory {
  /** Chunks that may be under way or waiting at once, hedges not among them. */
  readonly window: number;
  readonly #spare: number;
  readonly #chunkSize: number;
  readonly #reuse: boolean;
  readonly #free: Uint8Array[] = [];
  readonly #waiting: ((chunk: Uint8Array) => void)[] = [];
  #hedges = 0;
  /** Chunks that somebody has: fetches, waits with, or writes. */
  #lent = 0;

  /**
   * @param memory bytes
   * @param reuse false: who is given a chunk may keep it, so it is left to the garbage collector
   */
  constructor(memory: number, chunkSize: number, reuse: boolean) {
    const chunks = Math.max(LEAST_CHUNKS, Math.floor(memory / chunkSize));
    this.#spare = Math.floor(chunks * SPARE_PART);
    this.window = chunks - this.#spare;
    this.#chunkSize = chunkSize;
    this.#reuse = reuse;
  }

  /** Chunks that may be fetched by a second lane at once. */
  get spare(): number {
    return this.#spare;
  }

  /** Memory for a chunk within the window. */
  take(bytes: number): Uint8Array {
    this.#lent++;
    return (this.#free.pop() ?? new Uint8Array(this.#chunkSize)).subarray(0, bytes);
  }

  /** Memory for a chunk that another lane fetches too; undefined: `grant` is called with it when there is some. */
  takeSpare(bytes: number, grant: (chunk: Uint8Array) => void): Uint8Array | undefined {
    if (!this.#fits) {
      this.#waiting.push(grant);
      return undefined;
    }
    this.#hedges++;
    return this.take(bytes);
  }

  /** Nobody uses it any more. */
  give(chunk: Uint8Array): void {
    this.#lent--;
    if (this.#reuse) this.#free.push(new Uint8Array(chunk.buffer, chunk.byteOffset, this.#chunkSize));
    this.#serve();
  }

  /** A hedge is over; where its memory went is another matter. */
  endSpare(): void {
    this.#hedges--;
    this.#serve();
  }

  /** Who waited does so no more. */
  forget(grant: (chunk: Uint8Array) => void): void {
    const at = this.#waiting.indexOf(grant);
    if (at >= 0) this.#waiting.splice(at, 1);
  }

  /** A hedge that is over may have left its memory to a chunk that waits, and its rival may have memory for a while yet. */
  get #fits(): boolean {
    return this.#hedges < this.#spare && this.#lent < this.window + this.#spare;
  }

  #serve(): void {
    while (this.#waiting.length > 0 && this.#fits) {
      this.#hedges++;
      this.#waiting.shift()?.(this.take(this.#chunkSize));
    }
  }
}
