import { availableParallelism } from 'node:os';

import { HashThread } from './hash-thread.ts';
import { WholeDigest } from './whole-digest.ts';

/** Hash threads unless told otherwise: one hashes about as fast as a 16 Gbit/s link sends, and each takes 10 MB. */
const MOST_THREADS = 4;
/** Cores that are left to what receives and writes: a thread beyond that would only take its time. */
const OTHER_CORES = 1;
/** Bytes that wait for every thread there is before another is started: one of them is a few milliseconds behind. */
const BEHIND = 8 * 1024 * 1024;

export interface DigesterOptions {
  /** Most threads that hash pieces. Default: one for each core but one, at most 4. */
  readonly threads?: number;
  /** Name of the file, for messages. */
  readonly path?: string;
}

/** Computes SHA-256 of a file's bytes in threads of its own. `close` must be called before the descriptor is closed. */
export class Digester {
  readonly #fd: number;
  readonly #path: string;
  readonly #most: number;
  readonly #threads: HashThread[] = [];
  readonly #chasers: { whole: WholeDigest; thread: HashThread }[] = [];

  /** @param fd of a file open for reading; the threads read from it at positions of their own */
  constructor(fd: number, options: DigesterOptions = {}) {
    this.#fd = fd;
    this.#path = options.path ?? 'the file';
    this.#most = options.threads ?? Math.min(MOST_THREADS, Math.max(1, availableParallelism() - OTHER_CORES));
  }

  /** Starts a thread for pieces now, so that the first piece does not wait 30 ms for it. */
  warm(): void {
    if (this.#threads.length === 0) this.#threads.push(new HashThread(this.#path));
  }

  /**
   * SHA-256 of bytes [start, end), lower-case hex.
   *
   * @throws HeadwaterError `HW_DISK` when they cannot be read; `HW_INTERRUPTED` when the digester is closed meanwhile
   */
  async chunk(start: number, end: number): Promise<string> {
    return this.#leastBusy().run({ kind: 'piece', fd: this.#fd, start, end });
  }

  /** Begins the digest of the whole file of `size` bytes, in a thread of its own. */
  whole(size: number): WholeDigest {
    const thread = new HashThread(this.#path);
    const whole = new WholeDigest(this.#fd, size, thread);
    this.#chasers.push({ whole, thread });
    return whole;
  }

  /** Ends all threads; what was not done is rejected with `HW_INTERRUPTED`. No thread reads from the file after it. */
  async close(): Promise<void> {
    const chasers = this.#chasers.splice(0);
    for (const { whole } of chasers) whole.stop();
    const threads = [...this.#threads.splice(0), ...chasers.map(({ thread }) => thread)];
    await Promise.all(threads.map((thread) => thread.close()));
  }

  /** The thread with the fewest bytes before it, or a new one when even that is behind. */
  #leastBusy(): HashThread {
    let best: HashThread | undefined;
    for (const [i, thread] of this.#threads.entries()) {
      // One that failed is replaced; its tasks were told.
      const usable = thread.hasEnded ? (this.#threads[i] = new HashThread(this.#path)) : thread;
      if (best === undefined || usable.load < best.load) best = usable;
    }
    if (best !== undefined && (best.load < BEHIND || this.#threads.length >= this.#most)) return best;
    const thread = new HashThread(this.#path);
    this.#threads.push(thread);
    return thread;
  }
}
