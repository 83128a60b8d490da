import { WriteStream } from 'node:fs';
import { Socket } from 'node:net';
import type { Writable } from 'node:stream';

import { Bitmap } from '../../core/bitmap.ts';
import type { ChunkLayout } from '../../core/chunks.ts';
import { HeadwaterError } from '../../core/errors.ts';
import type { Manifest } from '../../core/manifest.ts';
import { ChunkMemory } from './chunk-memory.ts';
import type { Destination, Filler } from './destination.ts';
import type { Sink } from './sink.ts';
import { StreamSink } from './stream-sink.ts';

interface Options {
  readonly stream: Writable;
  readonly layout: ChunkLayout;
  readonly manifest: Manifest | undefined;
  /** The digest of the whole is to be computed. */
  readonly whole: boolean;
  readonly memory: number;
}

/** A stream that gets the bytes in order. Nothing of it can be taken back, and nothing is left to resume. */
export class StreamDestination implements Destination {
  readonly output = '-';
  readonly content = undefined;
  readonly done: Bitmap;
  readonly longestHedge: number;
  readonly #options: Options;
  readonly #memory: ChunkMemory;
  #sink: StreamSink | undefined;

  /** Strictly, only once a chunk has left. */
  get begun(): boolean {
    return this.#sink !== undefined;
  }

  constructor(options: Options) {
    this.#options = options;
    const { layout, stream, memory } = options;
    this.done = new Bitmap(layout.count);
    // Of these it is known that they keep nothing of what they have written.
    const reuse = stream instanceof WriteStream || stream instanceof Socket;
    this.#memory = new ChunkMemory(memory, layout.chunkSize, reuse);
    this.longestHedge = this.#memory.spare > 0 ? layout.chunkSize : 0;
  }

  async prepare(): Promise<void> {
    const { stream } = this.#options;
    if (stream.writable) return;
    throw new HeadwaterError('HW_DISK', 'the output was closed before anything was written', {
      cause: stream.errored ?? undefined,
    });
  }

  sink(filler: Filler): Sink {
    const { stream, layout, manifest, whole } = this.#options;
    this.#sink?.close();
    this.#sink = new StreamSink({
      layout,
      output: stream,
      manifest,
      whole,
      memory: this.#memory,
      allow: (limit) => filler.allow(limit),
      fail: (error) => filler.stop(error),
    });
    return this.#sink;
  }

  async digest(): Promise<string | undefined> {
    return this.#sink?.drained();
  }

  /** The stream stays open: it is the caller's. */
  async finish(): Promise<void> {}

  async close(): Promise<void> {
    this.#sink?.close();
  }
}
