import { Worker } from 'node:worker_threads';

import { ChunkLayout } from '../../core/chunks.ts';
import { HeadwaterError } from '../../core/errors.ts';
import { MANIFEST_VERSION, type Manifest } from '../../core/manifest.ts';
import { BlockRing } from './block-ring.ts';
import {
  CONTROL_BYTES,
  CONTROL_READ,
  CONTROL_REST,
  type ChunkJob,
  type ChunkResult,
  type ReadJob,
  type ReadResult,
  type ThreadData,
} from './thread-messages.ts';

/** Two threads that digest one file at a time: one reads it and digests the whole, one digests the chunks. */
export class HashingPair {
  readonly #ring = new BlockRing();
  readonly #control = new Int32Array(new SharedArrayBuffer(CONTROL_BYTES));
  readonly #reader: Worker;
  readonly #chunks: Worker;
  #fail: ((error: unknown) => void) | undefined;
  #over: HeadwaterError | undefined;

  constructor() {
    const workerData: ThreadData = {
      ring: this.#ring.memory,
      control: this.#control.buffer,
    };
    this.#reader = this.#start('reader-thread', workerData);
    try {
      this.#chunks = this.#start('chunk-thread', workerData);
    } catch (error) {
      void this.#reader.terminate();
      throw error;
    }
  }

  /** Why it digests nothing any more: a thread died, or it was closed. */
  get over(): HeadwaterError | undefined {
    return this.#over;
  }

  /** Bytes of the current file that were read. */
  get bytesRead(): number {
    return Atomics.load(this.#control, CONTROL_READ) * 1024 * 1024;
  }

  /**
   * The file's manifest, or `changed` when it is not, or did not stay, the one of that identity. One at a time.
   *
   * @throws HeadwaterError `HW_DISK`, `HW_INTERNAL` (a thread died; the pair is of no more use)
   */
  async digest({ path, identity }: ReadJob): Promise<Manifest | 'changed'> {
    // What died before there was anything to do had nobody to tell.
    if (this.#over !== undefined) throw this.#over;
    const size = Number(identity.size);
    this.#ring.reset();
    Atomics.store(this.#control, CONTROL_READ, 0);
    const died = Promise.withResolvers<never>();
    this.#fail = died.reject;
    try {
      const read = answer<ReadResult>(this.#reader, { path, identity } satisfies ReadJob);
      const cut = answer<ChunkResult>(this.#chunks, { size } satisfies ChunkJob);
      const [whole, chunks] = await Promise.race([Promise.all([read, cut]), died.promise]);
      if (whole.kind === 'failed') {
        throw new HeadwaterError('HW_DISK', `cannot read ${path} to hash it: ${whole.message}`, {
          details: { path: path, cause: whole.code },
        });
      }
      if (whole.kind === 'changed' || chunks === undefined) return 'changed';
      const { chunkSize } = new ChunkLayout(size);
      return { version: MANIFEST_VERSION, size, chunkSize, sha256: whole.sha256, chunks };
    } finally {
      this.#fail = undefined;
    }
  }

  /** Stops reading until it is set to false again. */
  set resting(rest: boolean) {
    Atomics.store(this.#control, CONTROL_REST, rest ? 1 : 0);
    Atomics.notify(this.#control, CONTROL_REST);
  }

  async close(): Promise<void> {
    this.#end(new HeadwaterError('HW_INTERRUPTED', 'hashing was stopped'));
    await Promise.all([this.#reader.terminate(), this.#chunks.terminate()]);
  }

  #start(file: string, workerData: ThreadData): Worker {
    // The sources run as .ts, the built package as .js.
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const worker = new Worker(new URL(`./${file}.${extension}`, import.meta.url), {
      workerData,
      // The caller's own are for the caller: with `--input-type`, say, no thread would start from a file.
      execArgv: [],
    });
    const died = (why: string, cause?: unknown) =>
      this.#end(new HeadwaterError('HW_INTERNAL', `the ${file} that hashes files ${why}`, { cause }));
    worker.on('error', (cause) => died(`failed: ${String(cause)}`, cause));
    worker.on('exit', (status) => died(`ended with status ${status}`));
    worker.unref();
    return worker;
  }

  #end(why: HeadwaterError): void {
    this.#over ??= why;
    this.#fail?.(this.#over);
  }
}

function answer<T>(worker: Worker, job: unknown): Promise<T> {
  return new Promise((resolve) => {
    worker.once('message', resolve);
    worker.postMessage(job, []);
  });
}
