import { setTimeout as sleep } from 'node:timers/promises';

/** Bytes at a rate that may be changed: whoever is ahead of it waits. */
export class Pace {
  readonly #signal: AbortSignal;
  #rate: number;
  /** When what was taken so far is worth its time, `performance.now()`. */
  #due = 0;

  /** @param rate bytes a second */
  constructor(rate: number, signal: AbortSignal) {
    this.#rate = rate;
    this.#signal = signal;
  }

  set rate(rate: number) {
    this.#rate = rate;
  }

  /** Takes bytes; false: `ready` is to be waited for before the next ones. */
  take({ length }: { readonly length: number }, done?: () => void): boolean {
    done?.();
    const now = performance.now();
    this.#due = Math.max(this.#due, now) + (length / this.#rate) * 1000;
    return this.#due - now < BURST;
  }

  /** Resolves when it is time for more. */
  async ready(): Promise<void> {
    const wait = this.#due - performance.now();
    if (wait <= 0) return;
    await sleep(wait, undefined, { signal: this.#signal }).catch(() => undefined);
  }
}

/** Milliseconds that may be taken ahead. */
const BURST = 20;
