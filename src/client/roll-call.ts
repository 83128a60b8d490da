import { setTimeout as sleep } from 'node:timers/promises';

import { backoff, FAULTS } from '../core/scheduler/faults.ts';
import type { FaultKind } from '../core/scheduler/types.ts';
import { SourceError } from './sources/fault.ts';
import { probe } from './sources/probe.ts';
import type { Introduction, Source } from './sources/source.ts';

interface Listener {
  answered(source: Source, introduction: Introduction): void;
  /** `retryIn` is in milliseconds. */
  waiting(source: Source, error: SourceError, retryIn: number): void;
  gone(source: Source, fault: FaultKind, error: SourceError): void;
  failed(error: unknown): void;
}

/** Asks all sources at once who they are, and those that cannot be reached again and again. */
export class RollCall {
  readonly #sources: readonly Source[];
  readonly #signal: AbortSignal;
  readonly #listener: Listener;
  /** Sources whose first answer, good or bad, is still awaited. */
  readonly #unheard: Set<Source>;
  /** Sources that may yet answer. */
  readonly #hopeful: Set<Source>;

  constructor(sources: readonly Source[], signal: AbortSignal, listener: Listener) {
    this.#sources = sources;
    this.#signal = signal;
    this.#listener = listener;
    this.#unheard = new Set(sources);
    this.#hopeful = new Set(sources);
  }

  /** Every source was heard of once. */
  get heardAll(): boolean {
    return this.#unheard.size === 0;
  }

  /** Some source that has not answered may still do so. */
  get hopeful(): boolean {
    return this.#hopeful.size > 0;
  }

  start(): void {
    for (const source of this.#sources) {
      this.#pursue(source).catch((error: unknown) => {
        if (!this.#signal.aborted) this.#listener.failed(error);
      });
    }
  }

  async #pursue(source: Source): Promise<void> {
    for (let strikes = 1; ; strikes++) {
      try {
        const introduction = await probe(source, this.#signal);
        if (this.#signal.aborted) return;
        this.#unheard.delete(source);
        this.#hopeful.delete(source);
        this.#listener.answered(source, introduction);
        return;
      } catch (error) {
        if (this.#signal.aborted) return;
        if (!(error instanceof SourceError)) throw error;
        this.#unheard.delete(source);
        const { kind, retryAfter } = error.fault;
        if (strikes > FAULTS[kind].retries) {
          this.#hopeful.delete(source);
          this.#listener.gone(source, kind, error);
          return;
        }
        const retryIn = backoff(strikes, retryAfter, Math.random);
        this.#listener.waiting(source, error, retryIn);
        await sleep(retryIn, undefined, { signal: this.#signal });
      }
    }
  }
}
