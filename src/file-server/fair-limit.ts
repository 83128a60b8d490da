/** Something that wants to send under a limit. */
export interface LimitedUser {
  /** May send up to `bytes` now; gives how many it sent. */
  granted(bytes: number): number;
}

/** How long a grant lasts at the limit's rate, milliseconds: short enough to look smooth. */
const TICK = 10;
/** A grant is at least this long, so that a low limit does not send tiny packets. */
const LEAST_GRANT = 1024;
/** What may be caught up after the event loop was late, milliseconds' worth. */
const MOST_CATCH_UP = 50;

/**
 * A rate for all answers of a server together. Those that want to send stand in a line; each in turn gets an equal
 * small grant, so all get the same share and what one cannot use goes to the others.
 */
export class FairLimit {
  readonly #rate: number;
  readonly #line = new Set<LimitedUser>();
  /** Bytes that may be sent; negative after a grant that was larger than what was there. */
  #tokens = 0;
  #filledAt = performance.now();
  #timer: NodeJS.Timeout | undefined;
  #users = 0;

  /** `rate` in bytes a second. */
  constructor(rate: number) {
    this.#rate = rate;
  }

  join(): void {
    this.#users++;
  }

  leave(): void {
    this.#users--;
  }

  /** Stands in the line; `granted` is called when it is its turn. Asking twice keeps the place. */
  ask(user: LimitedUser): void {
    this.#line.add(user);
    this.#serve();
  }

  forget(user: LimitedUser): void {
    this.#line.delete(user);
    if (this.#line.size === 0) this.#stop();
  }

  #serve(): void {
    const now = performance.now();
    const most = Math.max((this.#rate * MOST_CATCH_UP) / 1000, LEAST_GRANT);
    this.#tokens = Math.min(most, this.#tokens + ((now - this.#filledAt) * this.#rate) / 1000);
    this.#filledAt = now;
    const share = (this.#rate * TICK) / 1000 / Math.max(1, this.#users);
    const grant = Math.max(LEAST_GRANT, Math.floor(share));
    while (this.#tokens > 0) {
      const [user] = this.#line;
      if (user === undefined) break;
      this.#line.delete(user);
      this.#tokens -= user.granted(grant);
    }
    if (this.#line.size === 0) return this.#stop();
    const missing = Math.max(TICK, Math.ceil((-this.#tokens * 1000) / this.#rate));
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#serve();
    }, missing);
  }

  #stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
