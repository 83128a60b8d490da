/** A wall clock that is right because somebody else's is: the fleet's time, kept by a clock that never jumps. */
export class FleetClock {
  #heard: { readonly time: number; readonly at: number } | undefined;

  /** Milliseconds since 1970: the fleet's, or this machine's own until the fleet was heard. */
  now(): number {
    if (this.#heard === undefined) return Date.now();
    return this.#heard.time + performance.now() - this.#heard.at;
  }

  /** Milliseconds that this machine's clock is ahead of the fleet's; 0 until it was heard. */
  get ahead(): number {
    return this.#heard === undefined ? 0 : Date.now() - this.now();
  }

  /**
   * An information server said what time it is. Half of what the question took is what the answer took.
   *
   * @param time milliseconds since 1970
   * @param asked and `answered`: `performance.now()` then
   */
  heard(time: number, asked: number, answered: number = performance.now()): void {
    if (Number.isFinite(time)) this.#heard = { time: time + (answered - asked) / 2, at: answered };
  }
}
