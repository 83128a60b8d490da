import { setTimeout as sleep } from 'node:timers/promises';

import { HeadwaterError } from '../../core/errors.ts';
import type { ChunkStore } from './chunk-store.ts';
import { LEAST_SCRUB_RATE, MOST_SCRUB_RATE, SCRUB_REST } from './limits.ts';
import { Pace } from './pace.ts';

export interface ScrubOptions {
  readonly store: ChunkStore;
  /** Milliseconds within which every chunk is read again. */
  readonly interval: number;
  readonly onFault: (error: HeadwaterError) => void;
}

/**
 * Reads every chunk again within the interval, the one that was read longest ago first, and goes on where it was after a
 * restart: when a chunk was read is in the index. It begins after half of the interval and takes no longer than the rest, as
 * slowly as that allows, so that chunks that came together do not have to be read together.
 */
export class Scrub {
  readonly #options: ScrubOptions;
  readonly #over = new AbortController();
  readonly #pace: Pace;
  #work: Promise<void> | undefined;
  #read = 0;

  constructor(options: ScrubOptions) {
    this.#options = options;
    this.#pace = new Pace(LEAST_SCRUB_RATE, this.#over.signal);
  }

  /** Bytes read again since the start. */
  get bytes(): number {
    return this.#read;
  }

  start(): void {
    this.#work ??= this.#run();
  }

  async close(): Promise<void> {
    this.#over.abort();
    await this.#work;
  }

  async #run(): Promise<void> {
    const { signal } = this.#over;
    while (!signal.aborted) {
      try {
        await this.#next();
      } catch (cause) {
        if (signal.aborted) return;
        const message = `chunks cannot be read again: ${(cause as Error).message}`;
        this.#options.onFault(
          cause instanceof HeadwaterError ? cause : new HeadwaterError('HW_DISK', message, { cause }),
        );
        await this.#rest(SCRUB_REST);
      }
    }
  }

  async #next(): Promise<void> {
    const { store, interval } = this.#options;
    const [oldest] = store.index.oldest(1);
    const due = oldest === undefined ? Infinity : oldest.verifiedAt + interval / 2;
    const wait = due - Date.now();
    if (oldest === undefined || wait > 0) return this.#rest(Math.min(wait, SCRUB_REST, interval / 8));
    const needed = (store.state.bytes / (interval / 2 / 1000)) * SPARE;
    this.#pace.rate = Math.min(MOST_SCRUB_RATE, Math.max(LEAST_SCRUB_RATE, needed));
    const verdict = await store.verify(oldest.digest.toString('hex'), async (bytes) => {
      this.#over.signal.throwIfAborted();
      this.#read += bytes;
      if (!this.#pace.take({ length: bytes })) await this.#pace.ready();
    });
    // Its entry is gone with it, or it would be the oldest for ever.
    if (verdict === 'gone') await store.reconcile(oldest.digest.toString('hex'));
  }

  async #rest(milliseconds: number): Promise<void> {
    const { signal } = this.#over;
    await sleep(milliseconds, undefined, { signal }).catch(() => undefined);
  }
}

/** Faster than exactly enough, for what comes in between. */
const SPARE = 1.25;
