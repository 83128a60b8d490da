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
    return (this.#free.pop() ?? new Uint8Array(this.#chunkSize)).subarray(0, bytes);
  }

  /** Memory for a chunk that another lane fetches too; undefined: `grant` is called with it when there is some. */
  takeSpare(bytes: number, grant: (chunk: Uint8Array) => void): Uint8Array | undefined {
    if (this.#hedges < this.#spare) {
      this.#hedges++;
      return this.take(bytes);
    }
    this.#waiting.push(grant);
    return undefined;
  }

  /** Nobody uses it any more. */
  give(chunk: Uint8Array): void {
    if (!this.#reuse) return;
    this.#free.push(new Uint8Array(chunk.buffer, chunk.byteOffset, this.#chunkSize));
  }

  /** A hedge is over; where its memory went is another matter. */
  endSpare(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#hedges--;
    else next(this.take(this.#chunkSize));
  }

  /** Who waited does so no more. */
  forget(grant: (chunk: Uint8Array) => void): void {
    const at = this.#waiting.indexOf(grant);
    if (at >= 0) this.#waiting.splice(at, 1);
  }
}
