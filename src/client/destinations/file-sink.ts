import type { ChunkLayout } from '../../core/chunks.ts';
import type { Manifest } from '../../core/manifest.ts';
import type { Digester } from '../digests/digester.ts';
import type { PartFile } from '../storage/part-file.ts';
import { HeldChunk } from './held-chunk.ts';
import type { ChunkWriter, Sink } from './sink.ts';
import type { SlabPool } from './slab-pool.ts';
import type { WriteQueue } from './write-queue.ts';

/** What file sinks and their writers share. */
interface Place {
  readonly layout: ChunkLayout;
  readonly file: WriteQueue;
  /** Keeps the book of what is done. */
  readonly book: Pick<PartFile, 'markDone' | 'unmark'>;
  readonly pool: SlabPool;
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
    if (hedge) return new HedgeWriter(this.#place, chunk, () => this.#writers.get(chunk)?.settled);
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
  #slab: Uint8Array | undefined;
  #filled = 0;
  #position: number;
  #left: number;

  constructor(place: Place, chunk: number, wake: () => void, over: () => void) {
    this.#place = place;
    this.#chunk = chunk;
    this.#wake = wake;
    this.#over = over;
    this.#position = place.layout.start(chunk);
    this.#left = place.layout.bytes(chunk);
  }

  /** Whether this lane's bytes are in the file and right; known when nothing of it is written any more. */
  get settled(): Promise<boolean> {
    return this.#settle.promise;
  }

  buffer(): Uint8Array | undefined {
    this.#slab ??= this.#place.pool.take(this.#wake);
    return this.#slab?.subarray(this.#filled, Math.min(this.#slab.length, this.#filled + this.#left));
  }

  received(length: number): void {
    this.#filled += length;
    this.#left -= length;
    if (this.#slab !== undefined && (this.#filled === this.#slab.length || this.#left === 0))
      this.#write(this.#slab);
  }

  #write(slab: Uint8Array): void {
    const { file, pool, fail } = this.#place;
    const write = file.write(slab.subarray(0, this.#filled), this.#position).catch(fail);
    this.#writes.push(write.finally(() => pool.give(slab)));
    this.#position += this.#filled;
    this.#filled = 0;
    this.#slab = undefined;
  }

  async finish(): Promise<boolean> {
    const { layout, digester, manifest, fail } = this.#place;
    await Promise.all(this.#writes);
    const wanted = manifest?.chunks[this.#chunk];
    let right = true;
    if (wanted !== undefined) {
      try {
        right = (await digester.chunk(layout.start(this.#chunk), layout.end(this.#chunk))) === wanted;
      } catch (error) {
        fail(error);
        right = false;
      }
    }
    this.#end(right);
    return right;
  }

  async commit(): Promise<void> {}

  async abandon(): Promise<void> {
    if (this.#slab === undefined) this.#place.pool.forget(this.#wake);
    else this.#place.pool.give(this.#slab);
    this.#slab = undefined;
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
  readonly #rival: () => Promise<boolean> | undefined;
  readonly #held: HeldChunk;

  constructor(place: Place, chunk: number, rival: () => Promise<boolean> | undefined) {
    this.#place = place;
    this.#chunk = chunk;
    this.#rival = rival;
    this.#held = new HeldChunk(new Uint8Array(place.layout.bytes(chunk)));
  }

  buffer(): Uint8Array {
    return this.#held.rest();
  }

  received(length: number): void {
    this.#held.received(length);
  }

  finish(): Promise<boolean> {
    return this.#held.matches(this.#place.manifest?.chunks[this.#chunk]);
  }

  async commit(): Promise<void> {
    const { file, layout, fail } = this.#place;
    // Its rival may have come to its own end meanwhile; two right copies are the same bytes.
    await this.#rival();
    await file.write(this.#held.bytes, layout.start(this.#chunk)).catch(fail);
  }

  async abandon(): Promise<void> {}
}
