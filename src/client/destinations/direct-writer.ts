import type { FilePlace } from './file-sink.ts';
import type { ChunkWriter } from './sink.ts';

/** Writes a chunk into the file piece by piece as it comes. */
export class DirectWriter implements ChunkWriter {
  readonly #place: FilePlace;
  readonly #chunk: number;
  readonly #wake: () => void;
  readonly #over: () => void;
  #piece: Uint8Array | undefined;
  #filled = 0;
  #position: number;
  #left: number;
  #receiving = false;
  /** It will be given a piece. */
  #waiting = false;
  /** Pieces that are being written. */
  #writing = 0;
  #whenWritten: (() => void) | undefined;
  #failure: { readonly error: unknown } | undefined;
  #settled: PromiseWithResolvers<void> | undefined;

  /** @param over called when nothing of the chunk is written any more */
  constructor(place: FilePlace, chunk: number, wake: () => void, over: () => void) {
    this.#place = place;
    this.#chunk = chunk;
    this.#wake = wake;
    this.#over = over;
    this.#position = place.layout.start(chunk);
    this.#left = place.layout.bytes(chunk);
    this.#receives(true);
  }

  /** Resolves when nothing of it is written any more; to be asked for before that. */
  get settled(): Promise<void> {
    this.#settled ??= Promise.withResolvers<void>();
    return this.#settled.promise;
  }

  readonly #grant = (piece: Uint8Array): void => {
    this.#waiting = false;
    this.#piece = piece;
    this.#wake();
  };

  #receives(receiving: boolean): void {
    if (receiving === this.#receiving) return;
    this.#receiving = receiving;
    this.#place.pool.receiving += receiving ? 1 : -1;
  }

  buffer(): Uint8Array | undefined {
    if (this.#piece === undefined && !this.#waiting) {
      this.#piece = this.#place.pool.take(this.#grant);
      this.#waiting = this.#piece === undefined;
    }
    return this.#piece?.subarray(this.#filled, Math.min(this.#piece.length, this.#filled + this.#left));
  }

  received(length: number): void {
    this.#filled += length;
    this.#left -= length;
    if (this.#left === 0) this.#receives(false);
    if (this.#piece !== undefined && (this.#filled === this.#piece.length || this.#left === 0))
      this.#write(this.#piece);
  }

  #write(piece: Uint8Array): void {
    const { file, pool, fail } = this.#place;
    const bytes = piece.subarray(0, this.#filled);
    const position = this.#position;
    this.#writing++;
    // Before the write, which may end at once and have somebody else go on.
    this.#position += this.#filled;
    this.#filled = 0;
    this.#piece = undefined;
    file.write(bytes, position, (error) => {
      pool.give(piece);
      if (error !== undefined) {
        this.#failure ??= { error };
        fail(error);
      }
      if (--this.#writing === 0) this.#whenWritten?.();
    });
  }

  async #written(): Promise<void> {
    if (this.#writing === 0) return;
    await new Promise<void>((resolve) => {
      this.#whenWritten = resolve;
    });
  }

  async finish(): Promise<boolean> {
    const { layout, digester, manifest } = this.#place;
    try {
      await this.#written();
      if (this.#failure !== undefined) throw this.#failure.error;
      const wanted = manifest?.chunks[this.#chunk];
      if (wanted === undefined) return true;
      return (await digester.chunk(layout.start(this.#chunk), layout.end(this.#chunk))) === wanted;
    } finally {
      this.#end();
    }
  }

  async commit(): Promise<void> {}

  async abandon(): Promise<void> {
    this.#receives(false);
    if (this.#piece === undefined) this.#place.pool.forget(this.#grant);
    else this.#place.pool.give(this.#piece);
    this.#piece = undefined;
    await this.#written();
    this.#end();
  }

  #end(): void {
    this.#settled?.resolve();
    this.#over();
  }
}
