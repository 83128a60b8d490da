/** Gets new credentials when sources say that those they were given have expired: once for all of them. */
export class Renewal {
  readonly #refresh: (() => Promise<boolean>) | undefined;
  readonly #failed: (error: unknown) => void;
  #asking: Promise<boolean> | undefined;
  #renewedAt = -Infinity;

  /**
   * @param refresh what the caller gave for this, if anything
   * @param failed called when it threw
   */
  constructor(refresh: (() => Promise<boolean>) | undefined, failed: (error: unknown) => void) {
    this.#refresh = refresh;
    this.#failed = failed;
  }

  /**
   * Whether there are newer credentials than those that were used at `askedAt` (of `performance.now`), once that is known.
   * Never rejects.
   */
  renew(askedAt: number): Promise<boolean> {
    // It was the old ones that were refused.
    if (askedAt < this.#renewedAt) return Promise.resolve(true);
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #ask(): Promise<boolean> {
    if (this.#refresh === undefined) return false;
    try {
      const renewed = await this.#refresh();
      if (renewed) this.#renewedAt = performance.now();
      return renewed;
    } catch (error) {
      this.#failed(error);
      return false;
    }
  }
}
