import { createHash } from 'node:crypto';

import type { FilePlace } from './file-sink.ts';
import { BLOCK_BYTES } from './piece-pool.ts';
import type { ChunkWriter } from './sink.ts';

/** Holds a chunk that another lane writes too, until it is known to be right and the other one is out of the way. */
export class HedgeWriter implements ChunkWriter {
  readonly #place: FilePlace;
  readonly #chunk: number;
  readonly #wake: () => void;
  readonly #rival: () => Promise<void> | undefined;
  readonly #hash = createHash('sha256');
  readonly #bytes: number;
  #blocks: readonly Uint8Array[] | undefined;
  /** It will be given blocks. */
  #waiting = false;
  #filled = 0;

  constructor(place: FilePlace, chunk: number, wake: () => void, rival: () => Promise<void> | undefined) {
    this.#place = place;
    this.#chunk = chunk;
    this.#wake = wake;
    this.#rival = rival;
    this.#bytes = place.layout.bytes(chunk);
  }

  buffer(): Uint8Array | undefined {
    if (this.#blocks === undefined && !this.#waiting) {
      this.#blocks = this.#place.pool.takeWhole(this.#bytes, this.#grant);
      this.#waiting = this.#blocks === undefined;
    }
    const block = this.#blocks?.[Math.floor(this.#filled / BLOCK_BYTES)];
    const at = this.#filled % BLOCK_BYTES;
    return block?.subarray(at, Math.min(BLOCK_BYTES, at + this.#bytes - this.#filled));
  }

  readonly #grant = (blocks: readonly Uint8Array[]): void => {
    this.#waiting = false;
    this.#blocks = blocks;
    this.#wake();
  };

  received(length: number): void {
    const { manifest } = this.#place;
    const block = this.#blocks?.[Math.floor(this.#filled / BLOCK_BYTES)];
    const at = this.#filled % BLOCK_BYTES;
    if (manifest !== undefined && block !== undefined) this.#hash.update(block.subarray(at, at + length));
    this.#filled += length;
  }

  async finish(): Promise<boolean> {
    const wanted = this.#place.manifest?.chunks[this.#chunk];
    return wanted === undefined || this.#hash.digest('hex') === wanted;
  }

  async commit(): Promise<void> {
    const { file, layout } = this.#place;
    // Its rival may have come to its own end meanwhile; two right copies are the same bytes.
    await this.#rival();
    const writes: Promise<void>[] = [];
    let left = this.#bytes;
    for (const block of this.#blocks ?? []) {
      const part = block.subarray(0, Math.min(BLOCK_BYTES, left));
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      file.write(part, layout.end(this.#chunk) - left, (error) =>
        error === undefined ? resolve() : reject(error),
      );
      writes.push(promise);
      left -= part.length;
    }
    const ends = await Promise.allSettled(writes);
    this.#giveBack();
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  }

  async abandon(): Promise<void> {
    if (this.#blocks === undefined) this.#place.pool.forgetWhole(this.#grant);
    this.#giveBack();
  }

  #giveBack(): void {
    if (this.#blocks !== undefined) this.#place.pool.giveWhole(this.#blocks);
    this.#blocks = undefined;
  }
}
