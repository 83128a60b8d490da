/** Whether a piece of work was stopped, and with what error. */
export class Stop {
  readonly #controller = new AbortController();
  #reason: { readonly error: unknown } | undefined;

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get stopped(): boolean {
    return this.#reason !== undefined;
  }

  /** False: it was stopped before. */
  stop(error: unknown): boolean {
    if (this.#reason !== undefined) return false;
    this.#reason = { error };
    this.#controller.abort();
    return true;
  }

  /** What it was stopped with says more than what then broke. */
  instead(error: unknown): unknown {
    return this.#reason === undefined ? error : this.#reason.error;
  }

  throwIfStopped(): void {
    if (this.#reason !== undefined) throw this.#reason.error;
  }

  /** What `work` gives, unless it is stopped before that: nobody waits then, whatever becomes of the work. */
  async unless<T>(work: Promise<T>): Promise<T> {
    const { signal } = this.#controller;
    const { promise: stopped, reject } = Promise.withResolvers<never>();
    const stop = (): void => reject(this.#reason?.error);
    signal.addEventListener('abort', stop);
    if (signal.aborted) stop();
    try {
      return await Promise.race([work, stopped]);
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }
}
