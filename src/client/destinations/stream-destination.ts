import type { Writable } from 'node:stream';

import { Bitmap } from '../../core/bitmap.ts';
import type { ChunkLayout } from '../../core/chunks.ts';
import type { Manifest } from '../../core/manifest.ts';
import type { Destination, Filler } from './destination.ts';
import type { Sink } from './sink.ts';
import { StreamSink } from './stream-sink.ts';

interface Options {
  readonly stream: Writable;
  readonly layout: ChunkLayout;
  readonly manifest: Manifest | undefined;
  readonly memory: number;
}

/** A stream that gets the bytes in order. Nothing of it can be taken back, and nothing is left to resume. */
export class StreamDestination implements Destination {
  readonly output = '-';
  readonly content = undefined;
  readonly done: Bitmap;
  readonly #options: Options;
  #sink: StreamSink | undefined;

  /** Strictly, only once a chunk has left. */
  get begun(): boolean {
    return this.#sink !== undefined;
  }

  constructor(options: Options) {
    this.#options = options;
    this.done = new Bitmap(options.layout.count);
  }

  async prepare(): Promise<void> {}

  sink(filler: Filler): Sink {
    const { stream, layout, manifest, memory } = this.#options;
    this.#sink = new StreamSink({
      layout,
      output: stream,
      manifest,
      memory,
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

  async close(): Promise<void> {}
}
