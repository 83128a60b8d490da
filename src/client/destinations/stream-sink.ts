import { createHash } from 'node:crypto';
import type { Writable } from 'node:stream';

import type { ChunkLayout } from '../../core/chunks.ts';
import { HeadwaterError } from '../../core/errors.ts';
import type { Manifest } from '../../core/manifest.ts';
import type { ChunkMemory } from './chunk-memory.ts';
import { type ChunkDesk, HeldWriter } from './held-writer.ts';
import type { ChunkWriter, Sink } from './sink.ts';

interface Options {
  readonly layout: ChunkLayout;
  readonly output: Writable;
  readonly manifest: Manifest | undefined;
  /** The digest of the whole is to be computed. */
  readonly whole: boolean;
  /** Chunks wait in it for their turn. */
  readonly memory: ChunkMemory;
  /** Only chunks below `limit` fit into the window. */
  readonly allow: (limit: number) => void;
  readonly fail: (error: unknown) => void;
}

/**
 * Gives the bytes to a stream in order. Chunks wait in memory, judged, until everything before them is out; how far
 * ahead they may be is bounded. `close` must be called in the end.
 */
export class StreamSink implements Sink {
  readonly #options: Options;
  readonly #desk: ChunkDesk;
  readonly #hash = createHash('sha256');
  /** Chunks that the stream was given. */
  #emitted = 0;
  #emitting = false;
  #closed = false;
  /** Chunks among them that it has not taken yet. */
  #taking = 0;
  /** Goes on once the stream takes more. */
  #goOn: (() => void) | undefined;
  #whenOut: (() => void) | undefined;

  constructor(options: Options) {
    this.#options = options;
    const { layout, manifest, output, memory, allow } = options;
    this.#desk = { layout, manifest, memory, ready: new Map() };
    output.on('error', this.#failed).on('close', this.#left).on('drain', this.#drained);
    allow(memory.window);
  }

  open(chunk: number, hedge: boolean, wake: () => void): ChunkWriter {
    return new HeldWriter(this.#desk, chunk, hedge, wake);
  }

  done(): void {
    if (this.#emitting) return;
    this.#emitting = true;
    this.#emit().catch(this.#options.fail);
  }

  /** What has left cannot be taken back. */
  async undone(chunks: readonly number[]): Promise<void> {
    if (chunks.some((chunk) => chunk < this.#emitted)) {
      throw new HeadwaterError(
        'HW_VERIFICATION',
        'bytes that a source must not be believed in are in the output already',
      );
    }
    for (const chunk of chunks) {
      const bytes = this.#desk.ready.get(chunk);
      this.#desk.ready.delete(chunk);
      if (bytes !== undefined) this.#desk.memory.give(bytes);
    }
  }

  async #emit(): Promise<void> {
    const { whole, allow } = this.#options;
    const { ready, memory } = this.#desk;
    for (;;) {
      const bytes = ready.get(this.#emitted);
      if (bytes === undefined || this.#closed) break;
      ready.delete(this.#emitted++);
      if (whole) this.#hash.update(bytes);
      await this.#write(bytes);
      allow(this.#emitted + memory.window);
    }
    this.#emitting = false;
    this.#tellIfOut();
  }

  /** Resolves when the stream takes more. */
  #write(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve) => {
      this.#taking++;
      const more = this.#options.output.write(bytes, (error) => {
        if (error !== undefined && error !== null) return this.#failed(error);
        this.#desk.memory.give(bytes);
        this.#taking--;
        this.#tellIfOut();
        if (this.#closed) this.#leave();
      });
      if (more) resolve();
      else this.#goOn = resolve;
    });
  }

  readonly #drained = (): void => {
    const goOn = this.#goOn;
    this.#goOn = undefined;
    goOn?.();
  };

  readonly #failed = (error: Error): void => this.#options.fail(outputError(error));

  readonly #left = (): void => {
    if (!this.#isOut) this.#options.fail(outputError());
  };

  get #isOut(): boolean {
    return this.#emitted === this.#options.layout.count && this.#taking === 0;
  }

  #tellIfOut(): void {
    if (this.#isOut) this.#whenOut?.();
  }

  /** Waits until the stream has taken everything; gives the SHA-256 of it in hex, where it was to be computed. */
  async drained(): Promise<string | undefined> {
    await new Promise<void>((resolve) => {
      this.#whenOut = resolve;
      this.#tellIfOut();
    });
    return this.#options.whole ? this.#hash.digest('hex') : undefined;
  }

  /** Writes nothing more; ends the wait of whoever waits. The stream stays as it is. */
  close(): void {
    this.#closed = true;
    this.#leave();
    this.#drained();
    this.#whenOut?.();
  }

  /** Listens no more, but for the error of a write under way: nobody else may expect it. */
  #leave(): void {
    const { output } = this.#options;
    output.off('close', this.#left).off('drain', this.#drained);
    if (this.#taking === 0) output.off('error', this.#failed);
  }
}

function outputError(cause?: Error): HeadwaterError {
  return new HeadwaterError('HW_DISK', 'the output was closed before everything was written', { cause });
}
