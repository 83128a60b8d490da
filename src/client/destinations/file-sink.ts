import { createHash } from 'node:crypto';

import type { ChunkLayout } from '../../core/chunks.ts';
import type { Manifest } from '../../core/manifest.ts';
import type { Digester } from '../digests/digester.ts';
import type { PartFile } from '../storage/part-file.ts';
import { BLOCK_BYTES, type PiecePool } from './piece-pool.ts';
import type { ChunkWriter, Sink } from './sink.ts';
import type { WriteQueue } from './write-queue.ts';

/** What file sinks and their writers share. */
interface Place {
  readonly layout: ChunkLayout;
  readonly file: WriteQueue;
  /** Keeps the book of what is done. */
  readonly book: Pick<PartFile, 'markDone' | 'unmark'>;
  readonly pool: PiecePool;
  readonly digester: Digester;
  readonly manifest: Manifest | undefined;
  /** Called with the first error of the disk; nothing can go on after it. */
  readonly fail: (error: unknown) => void;
  /** Called when a chunk has become done. */
  readonly moved: () => void;
  /** Called when chunks are not done any more. */
  readonly reopened: (chunks: readonly number[]) => void;
}

/**
 * Puts chunks straight into the part file, and judges them by reading them back (from the page cache): memory stays
 * within the pool's budget whatever the chunk size, and what is judged is what is in the file. Hedges are held in memory,
 * since two lanes must never write one place.
 */
export class FileSink implements Sink {
  readonly #place: Place;
  /** The lane that writes a chunk, so that a hedge can wait for its end. */
  readonly #writers = new Map<number, DirectWriter>();

  constructor(place: Place) {
    this.#place = place;
  }

  open(chunk: number, hedge: boolean, wake: () => void): ChunkWriter {
    if (hedge) return new HedgeWriter(this.#place, chunk, wake, () => this.#writers.get(chunk)?.settled);
    const writer = new DirectWriter(this.#place, chunk, wake, () => {
      if (this.#writers.get(chunk) === writer) this.#writers.delete(chunk);
    });
    this.#writers.set(chunk, writer);
    return writer;
  }

  done(chunk: number): void {
    this.#place.book.markDone(chunk);
    this.#place.moved();
  }

  async undone(chunks: readonly number[]): Promise<void> {
    await this.#place.book.unmark(chunks);
    this.#place.reopened(chunks);
  }
}

class DirectWriter implements ChunkWriter {
  readonly #place: Place;
  readonly #chunk: number;
  readonly #wake: () => void;
  readonly #over: () => void;
  readonly #writes: Promise<void>[] = [];
  readonly #settle: { promise: Promise<boolean>; resolve: (right: boolean) => void } =
    Promise.withResolvers<boolean>();
  #piece: Uint8Array | undefined;
  #filled = 0;
  #position: number;
  #left: number;
  #receiving = false;
  /** It will be given a piece. */
  #waiting = false;
  #failure: { readonly error: unknown } | undefined;

  constructor(place: Place, chunk: number, wake: () => void, over: () => void) {
    this.#place = place;
    this.#chunk = chunk;
    this.#wake = wake;
    this.#over = over;
    this.#position = place.layout.start(chunk);
    this.#left = place.layout.bytes(chunk);
    this.#receives(true);
  }

  /** Whether this lane's bytes are in the file and right; known when nothing of it is written any more. */
  get settled(): Promise<boolean> {
    return this.#settle.promise;
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
    const write = file.write(piece.subarray(0, this.#filled), this.#position).catch((error: unknown) => {
      this.#failure = { error };
      fail(error);
    });
    this.#writes.push(write.finally(() => pool.give(piece)));
    this.#position += this.#filled;
    this.#filled = 0;
    this.#piece = undefined;
  }

  async finish(): Promise<boolean> {
    const { layout, digester, manifest } = this.#place;
    let right = false;
    try {
      await Promise.all(this.#writes);
      if (this.#failure !== undefined) throw this.#failure.error;
      const wanted = manifest?.chunks[this.#chunk];
      right =
        wanted === undefined ||
        (await digester.chunk(layout.start(this.#chunk), layout.end(this.#chunk))) === wanted;
      return right;
    } finally {
      this.#end(right);
    }
  }

  async commit(): Promise<void> {}

  async abandon(): Promise<void> {
    this.#receives(false);
    if (this.#piece === undefined) this.#place.pool.forget(this.#grant);
    else this.#place.pool.give(this.#piece);
    this.#piece = undefined;
    await Promise.all(this.#writes);
    this.#end(false);
  }

  #end(right: boolean): void {
    this.#settle.resolve(right);
    this.#over();
  }
}

class HedgeWriter implements ChunkWriter {
  readonly #place: Place;
  readonly #chunk: number;
  readonly #wake: () => void;
  readonly #rival: () => Promise<boolean> | undefined;
  readonly #hash = createHash('sha256');
  readonly #bytes: number;
  #blocks: readonly Uint8Array[] | undefined;
  /** It will be given blocks. */
  #waiting = false;
  #filled = 0;

  constructor(place: Place, chunk: number, wake: () => void, rival: () => Promise<boolean> | undefined) {
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
      writes.push(file.write(part, layout.end(this.#chunk) - left));
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
