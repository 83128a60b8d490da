import type { DownloadEvent, SourceEvent, SourceState, Verification } from '../../client/types.ts';
import type { ErrorCode } from '../../core/errors.ts';

/** What is known of one source now. */
export interface SourceRow {
  readonly id: number;
  readonly url: string;
  /** In a fleet. */
  readonly name?: string;
  readonly zone?: string;
  readonly state: SourceState;
  readonly share: number;
  /** Bytes a second. */
  readonly rate: number;
  readonly connections: number;
  /** Why it is waiting or banned. */
  readonly code?: ErrorCode;
  /** On the clock that `DownloadView` was given, milliseconds. */
  readonly retryAt?: number;
}

/** What the events so far add up to; what a screen shows of a download. */
export class DownloadView {
  readonly #now: () => number;
  readonly #rows = new Map<number, SourceRow>();
  output = '';
  verification: Verification | undefined;
  started = false;
  /** Bytes of the file that are here. */
  bytes = 0;
  size = 0;
  rate = 0;
  secondsLeft: number | undefined;

  /** @param now milliseconds on a clock that never runs backwards */
  constructor(urls: readonly string[], now: () => number) {
    this.#now = now;
    for (const [index, url] of urls.entries()) this.#rows.set(index + 1, fresh(index + 1, url));
  }

  get rows(): SourceRow[] {
    return [...this.#rows.values()];
  }

  get now(): number {
    return this.#now();
  }

  take(event: DownloadEvent): void {
    switch (event.event) {
      case 'start':
        this.started = true;
        this.output = event.output;
        this.size = event.size;
        this.bytes = event.resumedBytes;
        this.verification = event.verification;
        break;
      case 'source':
        this.#rows.set(event.id, this.#changed(event));
        break;
      case 'progress':
        this.bytes = event.bytes;
        this.size = event.size;
        this.rate = event.rate;
        this.secondsLeft = event.secondsLeft;
        for (const { bytes: _, ...now } of event.sources) {
          this.#rows.set(now.id, { ...this.#reasonOf(now.id, now.state), ...now });
        }
        break;
      case 'done':
        this.bytes = event.size;
        break;
      case 'notice':
        break;
    }
  }

  #changed({ id, url, name, zone, state, code, retryIn }: SourceEvent): SourceRow {
    const { code: _code, retryAt: _retryAt, ...before } = this.#rows.get(id) ?? fresh(id, url);
    return {
      ...before,
      url,
      ...(name !== undefined && { name }),
      ...(zone !== undefined && { zone }),
      state,
      ...(state === 'running' ? {} : { rate: 0, connections: 0 }),
      ...this.#reason(state, code, retryIn),
    };
  }

  #reason(state: SourceState, code?: ErrorCode, retryIn?: number): Pick<SourceRow, 'code' | 'retryAt'> {
    if (state === 'running' || state === 'probing') return {};
    return {
      ...(code === undefined ? {} : { code }),
      ...(retryIn === undefined ? {} : { retryAt: this.#now() + retryIn * 1000 }),
    };
  }

  /** A reason lasts as long as the state it was given for. */
  #reasonOf(id: number, state: SourceState): Pick<SourceRow, 'code' | 'retryAt'> {
    const before = this.#rows.get(id);
    if (before === undefined || before.state !== state) return {};
    const { code, retryAt } = before;
    return { ...(code === undefined ? {} : { code }), ...(retryAt === undefined ? {} : { retryAt }) };
  }
}

function fresh(id: number, url: string): SourceRow {
  return { id, url, state: 'probing', share: 0, rate: 0, connections: 0 };
}
