/** Seconds' worth of bytes that may come at once after a pause; evens out timers, and hardly shows in the rate. */
const BURST_SECONDS = 0.1;

/**
 * Holds the sum of what all sources send to a rate, by a token bucket. It stops every reader alike, so that which source
 * is faster than which stays visible.
 */
export class Limiter {
  readonly #rate: number;
  readonly #stop: (stopped: boolean) => void;
  #tokens: number;
  #last: number;
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param rate bytes a second
   * @param stop called with true when everybody is to stop reading, with false when to go on
   */
  constructor(rate: number, now: number, stop: (stopped: boolean) => void) {
    this.#rate = rate;
    this.#stop = stop;
    this.#tokens = rate * BURST_SECONDS;
    this.#last = now;
  }

  get stopped(): boolean {
    return this.#timer !== undefined;
  }

  /** Most bytes to read at once, so that one read does not use up many turns. */
  get piece(): number {
    return Math.max(1024, Math.ceil(this.#rate * BURST_SECONDS));
  }

  took(bytes: number, now: number): void {
    this.#tokens =
      Math.min(this.#tokens + ((now - this.#last) * this.#rate) / 1000, this.#rate * BURST_SECONDS) - bytes;
    this.#last = now;
    if (this.#tokens >= 0 || this.#timer !== undefined) return;
    this.#stop(true);
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.#stop(false);
      },
      (-this.#tokens * 1000) / this.#rate,
    );
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
