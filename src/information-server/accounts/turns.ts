import { HeadwaterError } from '../../core/errors.ts';

/** Work of which only so much is done at once, in the order it came, and only so much may wait. */
export class Turns {
  readonly #atOnce: number;
  readonly #mostWaiting: number;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(atOnce: number, mostWaiting: number) {
    this.#atOnce = atOnce;
    this.#mostWaiting = mostWaiting;
  }

  /** @throws HeadwaterError `HW_TOO_MANY` when too many wait already */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running < this.#atOnce) this.#running += 1;
    else {
      if (this.#waiting.length >= this.#mostWaiting) {
        const said = 'too many logins at once on this server; try again in a few seconds';
        throw new HeadwaterError('HW_TOO_MANY', said, { details: { retryAfter: 3 } });
      }
      // Whoever ends hands the turn on, so that nobody comes in between.
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }
}
