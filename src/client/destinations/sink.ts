/** Where the bytes of chunks go: memory to receive them in, a place to keep them, and the word whether they are right. */

export interface ChunkWriter {
  /** Memory for the next bytes of the chunk, never more than is left of it; undefined: none now, `wake` will be called. */
  buffer(): Uint8Array | undefined;
  /** `length` bytes were put at the front of the buffer given last. */
  received(length: number): void;
  /**
   * All bytes of the chunk are here. Gives whether they are right; without a digest to hold them against they are.
   *
   * @throws HeadwaterError `HW_DISK`, `HW_DISK_FULL` when they could not be kept
   */
  finish(): Promise<boolean>;
  /** After `finish`: the bytes are right and wanted. Puts those of a hedge in place, once its rival writes no more. Throws as `finish`. */
  commit(): Promise<void>;
  /** Gives the chunk up, whole or not, and its memory back; resolves when nothing of it is written any more. */
  abandon(): Promise<void>;
}

export interface Sink {
  /** @param wake called when a `buffer()` that gave undefined is worth another try */
  open(chunk: number, hedge: boolean, wake: () => void): ChunkWriter;
  /** The chunk is right and in its place. */
  done(chunk: number): void;
  /** Chunks that were done are not, after all. They may be written again once this resolves. */
  undone(chunks: readonly number[]): Promise<void>;
}
