import type { ChunkLayout } from '../core/chunks.ts';

/** Who gave which chunk. */
export class Tally {
  /** Stands for an earlier run, whose sources are not known any more. */
  static readonly earlier = 0;
  readonly layout: ChunkLayout;
  readonly #givers: Int32Array;

  constructor(layout: ChunkLayout) {
    this.layout = layout;
    this.#givers = new Int32Array(layout.count).fill(-1);
  }

  gave(source: number, chunk: number): void {
    this.#givers[chunk] = source;
  }

  /** Nobody gave these any more. */
  forget(chunks: Iterable<number>): void {
    for (const chunk of chunks) this.#givers[chunk] = -1;
  }

  giver(chunk: number): number | undefined {
    const giver = this.#givers[chunk];
    return giver === undefined || giver < 0 ? undefined : giver;
  }

  /** Chunks that the source gave, in order. */
  chunksOf(source: number): number[] {
    const chunks: number[] = [];
    for (let chunk = 0; chunk < this.layout.count; chunk++)
      if (this.#givers[chunk] === source) chunks.push(chunk);
    return chunks;
  }

  /** Bytes of the file that the source gave. */
  bytesOf(source: number): number {
    let bytes = 0;
    for (let chunk = 0; chunk < this.layout.count; chunk++)
      if (this.#givers[chunk] === source) bytes += this.layout.bytes(chunk);
    return bytes;
  }

  /** Bytes that somebody gave. */
  get bytes(): number {
    let bytes = 0;
    for (let chunk = 0; chunk < this.layout.count; chunk++)
      if (this.giver(chunk) !== undefined) bytes += this.layout.bytes(chunk);
    return bytes;
  }

  /** Every chunk has a giver. */
  get complete(): boolean {
    return !this.#givers.includes(-1);
  }

  /** Something of an earlier run is in it. */
  get hasEarlier(): boolean {
    return this.#givers.includes(Tally.earlier);
  }

  /** Everybody who gave something. */
  givers(): Set<number> {
    return new Set(this.#givers.filter((giver) => giver >= 0));
  }
}
