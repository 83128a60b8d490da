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
  readonly #stream: Writable;
  readonly #sink: StreamSink;

  constructor(options: Options) {
    const { stream, layout, manifest, whole } = options;
    this.#stream = stream;
    this.done = new Bitmap(layout.count);
    // Of these it is known that they keep nothing of what they have written.
    const reuse = stream instanceof WriteStream || stream instanceof Socket;
    const memory = new ChunkMemory(options.memory, layout.chunkSize, reuse);
    this.longestHedge = memory.spare > 0 ? layout.chunkSize : 0;
    this.#sink = new StreamSink({ layout, output: stream, manifest, whole, memory, done: this.done });
  }

  get begun(): boolean {
    return this.#sink.begun;
  }

  async prepare(): Promise<void> {
    if (this.#stream.writable) return;
    throw new HeadwaterError('HW_DISK', 'the output was closed before anything was written', {
      cause: this.#stream.errored ?? undefined,
    });
  }

  holdBack(until: Promise<void>): void {
    this.#sink.holdBack(until);
  }

  sink(filler: Filler): Sink {
    this.#sink.fill(filler);
    return this.#sink;
  }

  digest(): Promise<string | undefined> {
    return this.#sink.drained();
  }

  /** The stream stays open: it is the caller's. */
  async finish(): Promise<void> {}

  async close(): Promise<void> {
    this.#sink.close();
  }
}
