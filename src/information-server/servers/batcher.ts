import { HeadwaterError } from '../../core/errors.ts';

/** Requests that wait at most; more are told to come again: the database does not keep up. */
const MOST_WAITING = 20_000;

interface Waiting<T, R> {
  /** When it came, by the monotonic clock. */
  readonly since: number;
  readonly item: T;
  readonly resolve: (result: R) => void;
  readonly reject: (cause: unknown) => void;
}

interface BatcherParts<T, R> {
  /** Milliseconds from the beginning of one batch to that of the next. What comes after a rest goes at once. */
  readonly window: number;
  /** Items of one batch. */
  readonly most: number;
  /** Does a batch; gives what came of each item, in order. */
  readonly work: (items: readonly T[]) => Promise<readonly (R | HeadwaterError)[]>;
}

/** Many small changes in few transactions: each request waits for the commit of the batch that it is in. */
export class Batcher<T, R> {
  readonly #parts: BatcherParts<T, R>;
  #waiting: Waiting<T, R>[] = [];
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #began = -Infinity;
  #batch: readonly Waiting<T, R>[] = [];

  constructor(parts: BatcherParts<T, R>) {
    this.#parts = parts;
  }

  /**
   * @param isUrgent whether the batch that it is in begins at once
   * @throws HeadwaterError what came of this item; `HW_UNAVAILABLE` when too many wait
   */
  add(item: T, isUrgent = false): Promise<R> {
    if (this.#waiting.length >= MOST_WAITING) {
      const details = { retryAfter: 1 };
      throw new HeadwaterError('HW_UNAVAILABLE', 'too many requests wait for the database', { details });
    }
    const { promise, resolve, reject } = Promise.withResolvers<R>();
    this.#waiting.push({ since: performance.now(), item, resolve, reject });
    if (isUrgent) this.#began = -Infinity;
    if (isUrgent && this.#timer !== undefined) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
    }
    this.#plan();
    return promise;
  }

  /** Milliseconds for which the oldest request has waited for its commit; 0: none waits. */
  get waited(): number {
    const [oldest] = this.#batch.length > 0 ? this.#batch : this.#waiting;
    return oldest === undefined ? 0 : performance.now() - oldest.since;
  }

  /** Does what waits. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    while (this.#running !== undefined || this.#waiting.length > 0) {
      await (this.#running ?? this.#start());
    }
  }

  #plan(): void {
    if (this.#timer !== undefined || this.#running !== undefined || this.#waiting.length === 0) return;
    const rest = Math.max(0, this.#began + this.#parts.window - performance.now());
    this.#timer = setTimeout(() => void this.#start(), rest);
  }

  #start(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
      this.#plan();
    });
    return this.#running;
  }

  async #run(): Promise<void> {
    this.#began = performance.now();
    const batch = this.#waiting.splice(0, this.#parts.most);
    this.#batch = batch;
    try {
      const results = await this.#parts.work(batch.map(({ item }) => item));
      for (const [index, { resolve, reject }] of batch.entries()) {
        const result = results[index];
        if (result instanceof HeadwaterError) reject(result);
        else resolve(result as R);
      }
    } catch (error) {
      for (const { reject } of batch) reject(error);
    } finally {
      this.#batch = [];
    }
  }
}
