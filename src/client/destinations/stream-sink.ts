import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { Writable } from 'node:stream';

import type { ChunkLayout } from '../../core/chunks.ts';
import { HeadwaterError } from '../../core/errors.ts';
import type { Manifest } from '../../core/manifest.ts';
import { HeldChunk } from './held-chunk.ts';
import type { ChunkWriter, Sink } from './sink.ts';

/** At least this many chunks fit into the window, however large they are: one goes out while the next comes in. */
const LEAST_WINDOW = 2;

interface Options {
  readonly layout: ChunkLayout;
  readonly output: Writable;
  readonly manifest: Manifest | undefined;
  /** Bytes that wait for their turn. */
  readonly memory: number;
  /** Only chunks below `limit` fit into the window. */
  readonly allow: (limit: number) => void;
  readonly fail: (error: unknown) => void;
}

/**
 * Gives the bytes to a stream in order. Chunks wait in memory, judged, until everything before them is out; how far
 * ahead they may be is bounded.
 */
export class StreamSink implements Sink {
  readonly #options: Options;
  readonly #window: number;
  readonly #ready = new Map<number, Uint8Array>();
  readonly #hash = createHash('sha256');
  #emitted = 0;
  #emitting = false;
  #idle: (() => void) | undefined;

  constructor(options: Options) {
    this.#options = options;
    this.#window = Math.max(LEAST_WINDOW, Math.floor(options.memory / options.layout.chunkSize));
    options.output.on('error', (error) => options.fail(outputError(error)));
    options.output.on('close', () => {
      if (this.#emitted < options.layout.count) options.fail(outputError(undefined));
    });
    options.allow(this.#window);
  }

  open(chunk: number): ChunkWriter {
    const { layout, manifest } = this.#options;
    const held = new HeldChunk(new Uint8Array(layout.bytes(chunk)));
    return {
      buffer: () => held.rest(),
      received: (length) => held.received(length),
      finish: () => held.matches(manifest?.chunks[chunk]),
      commit: async () => {
        this.#ready.set(chunk, held.bytes);
      },
      abandon: async () => {},
    };
  }

  done(): void {
    if (this.#emitting) return;
    this.#emitting = true;
    this.#emit().catch(this.#options.fail);
  }

  /** What has left cannot be taken back. */
  async undone(): Promise<void> {
    throw new HeadwaterError(
      'HW_VERIFICATION',
      'bytes that a source must not be believed in are in the output already',
    );
  }

  async #emit(): Promise<void> {
    const { output, allow } = this.#options;
    for (;;) {
      const bytes = this.#ready.get(this.#emitted);
      if (bytes === undefined) break;
      this.#ready.delete(this.#emitted);
      this.#hash.update(bytes);
      if (!output.write(bytes)) await once(output, 'drain');
      this.#emitted++;
      allow(this.#emitted + this.#window);
    }
    this.#emitting = false;
    this.#idle?.();
  }

  /** Waits until everything is out; gives the SHA-256 of it in hex. */
  async drained(): Promise<string> {
    if (this.#emitting) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
    }
    return this.#hash.digest('hex');
  }
}

function outputError(cause: unknown): HeadwaterError {
  return new HeadwaterError('HW_DISK', 'the output was closed before everything was written', { cause });
}
