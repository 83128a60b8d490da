import { RateMeter } from '../../core/scheduler/rate.ts';
import type { Stores } from './stores.ts';
import type { UploadEvent } from './types.ts';

export interface ProgressParts {
  readonly size: number;
  readonly stores: Stores;
  readonly now: () => number;
  readonly startedAt: number;
  /** Milliseconds. */
  readonly interval: number;
  readonly onEvent: (event: UploadEvent) => void;
}

/** Counts what is done, and tells of it from time to time. */
export class UploadProgress {
  /** Bytes of the file whose digests are known. */
  hashed = 0;
  /** Bytes of chunks that have their copies. */
  done = 0;
  /** Bytes of chunks on their way that have left. */
  onTheWay = 0;
  readonly #parts: ProgressParts;
  readonly #meter: RateMeter;
  readonly #timer: NodeJS.Timeout;
  #last = 0;

  constructor(parts: ProgressParts) {
    this.#parts = parts;
    this.#meter = new RateMeter(parts.startedAt);
    this.#timer = setInterval(() => this.tell(), parts.interval);
  }

  tell(): void {
    const { size, stores, now, startedAt, onEvent } = this.#parts;
    const at = now();
    const bytes = Math.min(size, this.done + this.onTheWay);
    this.#meter.advance(at, true);
    this.#meter.add(Math.max(0, bytes - this.#last));
    this.#last = bytes;
    const rate = this.#meter.rate ?? 0;
    onEvent({
      event: 'progress',
      seconds: (at - startedAt) / 1000,
      bytes,
      size,
      hashed: this.hashed,
      rate,
      ...(rate > 1 && size > bytes && { secondsLeft: (size - bytes) / rate }),
      servers: stores.progress(),
    });
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
