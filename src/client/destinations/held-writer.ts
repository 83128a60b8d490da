import { createHash } from 'node:crypto';

import type { ChunkLayout } from '../../core/chunks.ts';
import type { Manifest } from '../../core/manifest.ts';
import type { ChunkMemory } from './chunk-memory.ts';
import type { ChunkWriter } from './sink.ts';

/** What the writers of one stream share. */
export interface ChunkDesk {
  readonly layout: ChunkLayout;
  readonly manifest: Manifest | undefined;
  readonly memory: ChunkMemory;
  /** Right chunks whose turn has not come. */
  readonly ready: Map<number, Uint8Array>;
}

/** Holds a chunk in memory until it is known to be right. */
export class HeldWriter implements ChunkWriter {
  readonly #desk: ChunkDesk;
  readonly #chunk: number;
  readonly #hedge: boolean;
  readonly #wake: () => void;
  readonly #hash = createHash('sha256');
  #bytes: Uint8Array | undefined;
  /** It will be given memory. */
  #waiting = false;
  #filled = 0;

  constructor(desk: ChunkDesk, chunk: number, hedge: boolean, wake: () => void) {
    this.#desk = desk;
    this.#chunk = chunk;
    this.#hedge = hedge;
    this.#wake = wake;
  }

  buffer(): Uint8Array | undefined {
    const { layout, memory } = this.#desk;
    const length = layout.bytes(this.#chunk);
    if (this.#bytes === undefined && !this.#waiting) {
      this.#bytes = this.#hedge ? memory.takeSpare(length, this.#grant) : memory.take(length);
      this.#waiting = this.#bytes === undefined;
    }
    return this.#bytes?.subarray(this.#filled);
  }

  readonly #grant = (bytes: Uint8Array): void => {
    this.#waiting = false;
    this.#bytes = bytes.subarray(0, this.#desk.layout.bytes(this.#chunk));
    this.#wake();
  };

  received(length: number): void {
    const { manifest } = this.#desk;
    // Now, while it is in the core's cache, and here: the thread pool would take a copy of it.
    if (manifest !== undefined && this.#bytes !== undefined)
      this.#hash.update(this.#bytes.subarray(this.#filled, this.#filled + length));
    this.#filled += length;
  }

  async finish(): Promise<boolean> {
    const wanted = this.#desk.manifest?.chunks[this.#chunk];
    return wanted === undefined || this.#hash.digest('hex') === wanted;
  }

  async commit(): Promise<void> {
    if (this.#bytes === undefined) return;
    this.#desk.ready.set(this.#chunk, this.#bytes);
    this.#bytes = undefined;
    if (this.#hedge) this.#desk.memory.endSpare();
  }

  async abandon(): Promise<void> {
    const { memory } = this.#desk;
    const bytes = this.#bytes;
    this.#bytes = undefined;
    if (bytes !== undefined) memory.give(bytes);
    if (!this.#hedge) return;
    if (bytes === undefined) memory.forget(this.#grant);
    else memory.endSpare();
  }
}
