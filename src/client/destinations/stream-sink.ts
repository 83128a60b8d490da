import { createHash } from 'node:crypto';
import type { Writable } from 'node:stream';

import type { ChunkLayout } from '../../core/chunks.ts';
import type { Bitmap } from '../../core/bitmap.ts';
import { HeadwaterError } from '../../core/errors.ts';
import type { Manifest } from '../../core/manifest.ts';
import { errorCode } from '../storage/disk-error.ts';
import type { ChunkMemory } from './chunk-memory.ts';
import type { Filler } from './destination.ts';
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
  /** Kept up to date. */
  readonly done: Bitmap;
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
  /** Things that must come first. */
  #heldBack = 0;
  #closed = false;
  /** Chunks among them that it has not taken yet. */
  #taking = 0;
  /** Goes on once the stream takes more. */
  #goOn: (() => void) | undefined;
  #filler: Filler | undefined;
  #failure: { readonly error: unknown } | undefined;
  #whenOut: (() => void) | undefined;

  constructor(options: Options) {
    this.#options = options;
    const { layout, manifest, output, memory } = options;
    this.#desk = { layout, manifest, memory, ready: new Map() };
    output.on('error', this.#failed).on('close', this.#left).on('drain', this.#drained);
  }

  /** Bytes have left that cannot be taken back. */
  get begun(): boolean {
    return this.#emitted > 0;
  }

  /** Who fills it from now on. */
  fill(filler: Filler): void {
    this.#filler = filler;
    if (this.#failure === undefined) this.#allow();
    else filler.stop(this.#failure.error);
  }

  #allow(): void {
    this.#filler?.allow(this.#emitted + this.#options.memory.window);
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#filler?.stop(error);
    this.#whenOut?.();
  }

  open(chunk: number, hedge: boolean, wake: () => void): ChunkWriter {
    return new HeldWriter(this.#desk, chunk, hedge, wake);
  }

  /** Chunks wait until this has resolved, even those whose turn it is. */
  holdBack(until: Promise<void>): void {
    this.#heldBack++;
    until.then(
      () => {
        this.#heldBack--;
        this.#wakeUp();
      },
      (error: unknown) => this.#fail(error),
    );
  }

  done(chunk: number): void {
    this.#options.done.add(chunk);
    this.#wakeUp();
  }

  #wakeUp(): void {
    if (this.#emitting || this.#heldBack > 0) return;
    this.#emitting = true;
    this.#emit().catch((error: unknown) => this.#fail(error));
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
      this.#options.done.delete(chunk);
      if (bytes !== undefined) this.#desk.memory.give(bytes);
    }
  }

  async #emit(): Promise<void> {
    const { whole } = this.#options;
    const { ready } = this.#desk;
    for (;;) {
      const bytes = ready.get(this.#emitted);
      if (bytes === undefined || this.#closed || this.#heldBack > 0) break;
      ready.delete(this.#emitted++);
      if (whole) this.#hash.update(bytes);
      await this.#write(bytes);
      this.#allow();
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

  readonly #failed = (error: Error): void => this.#fail(outputError(error));

  readonly #left = (): void => {
    if (!this.#isOut) this.#fail(outputError());
  };

  get #isOut(): boolean {
    return this.#emitted === this.#options.layout.count && this.#taking === 0;
  }

  #tellIfOut(): void {
    if (this.#isOut) this.#whenOut?.();
  }

  /**
   * Waits until the stream has taken everything; gives the SHA-256 of it in hex, where it was to be computed.
   *
   * @throws HeadwaterError `HW_DISK` when the stream takes no more
   */
  async drained(): Promise<string | undefined> {
    await new Promise<void>((resolve) => {
      this.#whenOut = resolve;
      if (this.#isOut || this.#failure !== undefined) resolve();
    });
    if (this.#failure !== undefined) throw this.#failure.error;
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
  const code = errorCode(cause);
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new HeadwaterError('HW_DISK_FULL', 'the output takes no more: the disk is full', { cause });
  return new HeadwaterError('HW_DISK', 'the output was closed before everything was written', { cause });
}
