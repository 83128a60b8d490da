import { HeadwaterError } from '../../core/errors.ts';
import { DEATHS_IN_A_ROW, HASHING_IDLE, MOST_SETBACK } from '../limits.ts';
import type { Setback } from '../store.ts';
import { HashingPair } from './hashing-pair.ts';

/** Lends pairs of hashing threads, keeps idle ones for a while, and rests when they die one after another. */
export class HashingPairs {
  readonly #all = new Set<HashingPair>();
  readonly #idle: HashingPair[] = [];
  #idleTimer: NodeJS.Timeout | undefined;
  #deaths = 0;
  #rest: Setback | undefined;

  /** Why no pair is lent now: the last ones died. */
  get rest(): Setback | undefined {
    return this.#rest !== undefined && performance.now() < this.#rest.until ? this.#rest : undefined;
  }

  /** A pair, to be given back. @throws HeadwaterError `HW_INTERNAL` when its threads cannot be started */
  take(): HashingPair {
    clearTimeout(this.#idleTimer);
    for (let pair = this.#idle.pop(); pair !== undefined; pair = this.#idle.pop()) {
      if (pair.over === undefined) return pair;
      void this.#discard(pair);
    }
    try {
      const pair = new HashingPair();
      this.#all.add(pair);
      return pair;
    } catch (cause) {
      const message = `the threads that hash files cannot be started: ${(cause as Error).message}`;
      const error = new HeadwaterError('HW_INTERNAL', message, { cause });
      this.#died(error);
      throw error;
    }
  }

  giveBack(pair: HashingPair): void {
    if (pair.over !== undefined) {
      void this.#discard(pair);
      this.#died(pair.over);
      return;
    }
    this.#deaths = 0;
    this.#idle.push(pair);
    clearTimeout(this.#idleTimer);
    this.#idleTimer = setTimeout(() => this.#dismiss(), HASHING_IDLE).unref();
  }

  async close(): Promise<void> {
    clearTimeout(this.#idleTimer);
    await Promise.all([...this.#all].map((pair) => pair.close()));
  }

  #died(error: HeadwaterError): void {
    this.#deaths++;
    if (this.#deaths >= DEATHS_IN_A_ROW) this.#rest = { error, until: performance.now() + MOST_SETBACK };
  }

  #dismiss(): void {
    for (const pair of this.#idle.splice(0)) void this.#discard(pair);
  }

  async #discard(pair: HashingPair): Promise<void> {
    await pair.close();
    this.#all.delete(pair);
  }
}
