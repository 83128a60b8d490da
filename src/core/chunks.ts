/** How a file is cut into chunks. The only place that knows where a chunk begins and ends. */

export const MIB = 1024 * 1024;
/** Smallest chunk, bytes: below it requests and digests cost more than they save. */
export const LEAST_CHUNK_SIZE = MIB;
/** Largest chunk, bytes: what one lost or wrong chunk costs at the most. */
export const MOST_CHUNK_SIZE = 64 * MIB;
/** Chunks a file is kept within while the chunk size can still grow; bounds the manifest to 256 KiB of digests. */
export const WANTED_CHUNKS = 4096;

/** Fixed-size chunks of a file of `size` bytes; the last is shorter. Offsets are bytes, `end` is exclusive. */
export class ChunkLayout {
  readonly size: number;
  readonly chunkSize: number;
  /** Number of chunks; 0 for an empty file. */
  readonly count: number;

  constructor(size: number, chunkSize: number = chunkSizeFor(size)) {
    if (!Number.isSafeInteger(size) || size < 0) throw new RangeError(`file size ${size}`);
    if (!Number.isSafeInteger(chunkSize) || chunkSize < 1) throw new RangeError(`chunk size ${chunkSize}`);
    this.size = size;
    this.chunkSize = chunkSize;
    this.count = Math.ceil(size / chunkSize);
  }

  /** First byte of chunk `index`; `index === count` gives the file's size. */
  start(index: number): number {
    return Math.min(index * this.chunkSize, this.size);
  }

  /** One past the last byte of chunk `index`. */
  end(index: number): number {
    return this.start(index + 1);
  }

  /** Bytes in chunks `from` to `to` (exclusive; one chunk unless told otherwise). */
  bytes(from: number, to: number = from + 1): number {
    return this.start(to) - this.start(from);
  }

  /** The chunk that byte `offset` is in. */
  at(offset: number): number {
    return Math.floor(offset / this.chunkSize);
  }
}

/** Smallest power of two from 1 MiB up that keeps `size` bytes within 4,096 chunks, at most 64 MiB. */
export function chunkSizeFor(size: number): number {
  let chunkSize = LEAST_CHUNK_SIZE;
  while (chunkSize < MOST_CHUNK_SIZE && size > chunkSize * WANTED_CHUNKS) chunkSize *= 2;
  return chunkSize;
}
