import { setTimeout as sleep } from 'node:timers/promises';

import { backoff, FAULTS } from '../core/scheduler/faults.ts';
import type { FaultKind } from '../core/scheduler/types.ts';
import { SourceError } from './sources/fault.ts';
import type { Introduction, Source } from './sources/source.ts';

interface Options {
  readonly signal: AbortSignal;
  /** Asks a source once who it is. @throws SourceError */
  readonly ask: (source: Source, signal: AbortSignal) => Promise<Introduction>;
  /** Gets new credentials in the place of those that were used at a time; false: there are none. */
  readonly renew: (askedAt: number) => Promise<boolean>;
  readonly answered: (source: Source, introduction: Introduction) => void;
  /** `retryIn` is in milliseconds. */
  readonly waiting: (source: Source, error: SourceError, retryIn: number) => void;
  readonly gone: (source: Source, fault: FaultKind, error: SourceError) => void;
  readonly failed: (error: unknown) => void;
}

/** Asks sources who they are, all at once, and those that cannot be reached again and again. */
export class RollCall {
  readonly #options: Options;
  /** Sources whose first answer, good or bad, is still awaited. */
  readonly #unheard = new Set<Source>();
  /** Sources that may yet answer, and what ends the asking. */
  readonly #hopeful = new Map<Source, AbortController>();

  constructor(options: Options) {
    this.#options = options;
  }

  /** Every source was heard of once. */
  get heardAll(): boolean {
    return this.#unheard.size === 0;
  }

  /** Some source that has not answered may still do so. */
  get hopeful(): boolean {
    return this.#hopeful.size > 0;
  }

  /** Asks this source too. */
  add(source: Source): void {
    const { signal, failed } = this.#options;
    if (this.#hopeful.has(source) || signal.aborted) return;
    const stop = new AbortController();
    this.#unheard.add(source);
    this.#hopeful.set(source, stop);
    const until = AbortSignal.any([signal, stop.signal]);
    this.#pursue(source, until).catch((error: unknown) => {
      if (!until.aborted) failed(error);
    });
  }

  /** Nobody waits for its answer any more. */
  drop(source: Source): void {
    this.#hopeful.get(source)?.abort();
    this.#over(source);
  }

  #over(source: Source): void {
    this.#unheard.delete(source);
    this.#hopeful.delete(source);
  }

  async #pursue(source: Source, signal: AbortSignal): Promise<void> {
    const { ask, answered, waiting, gone } = this.#options;
    for (let strikes = 1; ; strikes++) {
      const askedAt = performance.now();
      try {
        const introduction = await ask(source, signal);
        if (signal.aborted) return;
        this.#over(source);
        answered(source, introduction);
        return;
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof SourceError)) throw error;
        const { kind } = error.fault;
        const retryIn = await this.#patience(error, strikes, askedAt);
        if (signal.aborted) return;
        this.#unheard.delete(source);
        if (retryIn === 'never') {
          this.#over(source);
          gone(source, kind, error);
          return;
        }
        if (retryIn === 'now') continue;
        waiting(source, error, retryIn);
        await sleep(retryIn, undefined, { signal });
      }
    }
  }

  /** Milliseconds until it is asked again. */
  async #patience(
    { fault: { kind, retryAfter } }: SourceError,
    strikes: number,
    askedAt: number,
  ): Promise<number | 'now' | 'never'> {
    if (strikes > FAULTS[kind].retries) return 'never';
    if (kind === 'expired') return (await this.#options.renew(askedAt)) ? 'now' : 'never';
    return backoff(strikes, retryAfter, Math.random);
  }
}
