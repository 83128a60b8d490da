import type { ChunkLayout } from '../../core/chunks.ts';
import type { Manifest } from '../../core/manifest.ts';
import type { Digester } from '../digests/digester.ts';
import type { PartFile } from '../storage/part-file.ts';
import { DirectWriter } from './direct-writer.ts';
import { HedgeWriter } from './hedge-writer.ts';
import type { PiecePool } from './piece-pool.ts';
import type { ChunkWriter, Sink } from './sink.ts';
import type { WriteQueue } from './write-queue.ts';

/** What file sinks and their writers share. */
export interface FilePlace {
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
  readonly #place: FilePlace;
  /** The lane that writes a chunk, so that a hedge can wait for its end. */
  readonly #writers = new Map<number, DirectWriter>();

  constructor(place: FilePlace) {
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
