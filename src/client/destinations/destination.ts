import type { Bitmap } from '../../core/bitmap.ts';
import type { ByteRange } from '../../core/ranges.ts';
import type { Introduction, Source } from '../sources/source.ts';
import type { Sink } from './sink.ts';

/** How a sink speaks to the transfer that fills it. */
export interface Filler {
  /** Only chunks below `limit` fit in now. */
  allow(limit: number): void;
  /** Nothing can be kept any more. */
  stop(error: unknown): void;
}

/** Where the file of one attempt goes. Owns what it opened; `close` ends it. */
export interface Destination {
  /** Path, or "-" for a stream. */
  readonly output: string;
  /** Chunks that are there, an earlier run's among them. */
  readonly done: Bitmap;
  /** Longest chunk, in bytes, that a second lane can fetch as well: it is held in memory meanwhile. */
  readonly longestHedge: number;
  /** Its bytes, where they can be read again; undefined for a stream. */
  readonly content: Content | undefined;
  /** Bytes have left that cannot be taken back. */
  readonly begun: boolean;
  /** Makes sure that what an earlier run left is of the file that the sources hold. */
  prepare(sources: ReadonlyMap<Source, Introduction>, signal: AbortSignal): Promise<void>;
  /** Nothing that could not be taken back leaves before this has resolved. */
  holdBack(until: Promise<void>): void;
  sink(filler: Filler): Sink;
  /** SHA-256 of the whole, once all chunks are there; undefined when nobody wants to know. */
  digest(): Promise<string | undefined>;
  /** Makes it last, under its name. */
  finish(): Promise<void>;
  /** Frees everything; what is there is kept. */
  close(): Promise<void>;
}

/** What is there, read back. */
export interface Content {
  read(range: ByteRange): Promise<Uint8Array>;
  chunkDigest(chunk: number): Promise<string>;
}
