import type { ErrorCode } from '../core/errors.ts';
import { RateMeter } from '../core/scheduler/rate.ts';
import type { SourceView } from '../core/scheduler/types.ts';
import type { AttemptResult } from './attempt-result.ts';
import type { Settings } from './options.ts';
import type { Member } from './members.ts';
import { Tally } from './tally.ts';
import type { Totals } from './totals.ts';
import type { DownloadReport, SourceProgress, SourceReport, StartEvent } from './types.ts';

/** What the attempt under way can tell at any time. */
export interface Figures {
  readonly size: number;
  /** Bytes of the file that are here, landed or on their way into their chunk. */
  readonly bytes: number;
}

/** Why nothing can come now, and what would change that. */
export interface Lack {
  readonly why: string;
  readonly until: string;
}

/** Tells the caller what happens, and sums up in the end. */
export class Progress {
  readonly startedAt = performance.now();
  readonly #settings: Settings;
  readonly #members: readonly Member[];
  readonly #totals: Totals;
  readonly #meter = new RateMeter(this.startedAt);
  #timer: NodeJS.Timeout | undefined;
  #figures: (() => Figures) | undefined;
  #lastBytes = 0;
  #waiting = false;

  constructor(settings: Settings, members: readonly Member[], totals: Totals) {
    this.#settings = settings;
    this.#members = members;
    this.#totals = totals;
  }

  /** The download begins; `figures` is asked for every progress event. */
  start(event: StartEvent, figures: () => Figures): void {
    this.#figures = figures;
    this.#lastBytes = event.resumedBytes;
    this.#settings.onEvent(event);
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.#tell(), this.#settings.interval * 1000);
  }

  source(member: Member, code?: ErrorCode, message?: string, retryIn?: number): void {
    this.#settings.onEvent({
      event: 'source',
      id: member.source.id,
      ...shownAs(member),
      state: member.state,
      ...(code === undefined ? {} : { code }),
      ...(message === undefined ? {} : { message }),
      ...(retryIn === undefined ? {} : { retryIn: retryIn / 1000 }),
    });
  }

  notice(message: string, code?: ErrorCode): void {
    this.#settings.onEvent({ event: 'notice', message, ...(code === undefined ? {} : { code }) });
  }

  /** Why nothing can come now, if so, and what would change that; said once each time it comes to that. */
  nothingComes(lack: Lack | undefined, timeout: number): void {
    if (lack !== undefined && !this.#waiting) {
      const end = timeout === Infinity ? `until ${lack.until}` : `up to ${timeout} s`;
      this.notice(`${lack.why}; waiting ${end}`, 'HW_SOURCES_LOST');
    }
    this.#waiting = lack !== undefined;
  }

  #tell(): void {
    if (this.#figures === undefined) return;
    const now = performance.now();
    const { size, bytes } = this.#figures();
    const { views, received } = this.#totals;
    this.#meter.advance(now, true);
    this.#meter.add(Math.max(0, bytes - this.#lastBytes));
    this.#lastBytes = bytes;
    const rate = this.#meter.rate ?? 0;
    const all = sum(received.values());
    this.#settings.onEvent({
      event: 'progress',
      seconds: (now - this.startedAt) / 1000,
      bytes,
      size,
      rate,
      ...(rate > 1 && size > bytes ? { secondsLeft: (size - bytes) / rate } : {}),
      sources: this.#members.map((member) => sourceProgress(member, views, received, all)),
    });
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** The last word. */
  done(result: AttemptResult): DownloadReport {
    this.close();
    const now = performance.now();
    const seconds = (now - this.startedAt) / 1000;
    const { output, size, verified, sha256, tailFrom, tally } = result;
    const { views, received } = this.#totals;
    const resumedBytes = tally.bytesOf(Tally.earlier);
    const own = size - resumedBytes;
    const report: DownloadReport = {
      output,
      size,
      seconds,
      rate: own / seconds,
      verified,
      ...(sha256 === undefined ? {} : { sha256 }),
      resumedBytes,
      wastedBytes: Math.max(0, sum(received.values()) - own),
      tailSeconds: tailFrom === undefined ? 0 : (now - tailFrom) / 1000,
      sources: this.#members.map((member) => ({
        ...sourceReport(member, views, tally.bytesOf(member.source.id), own),
        failures: this.#totals.failures(member.source.id),
      })),
    };
    if (verified === 'none') {
      this.notice('nothing was verified: neither the sources nor the caller gave a digest of this file');
    }
    this.#settings.onEvent({ event: 'done', ...report });
    return report;
  }
}

/** What tells a person which source it is. */
function shownAs({ source, given }: Member): { url: string; name?: string; zone?: string } {
  const { name, zone } = given;
  return {
    url: source.shown,
    ...(name === undefined ? {} : { name }),
    ...(zone === undefined ? {} : { zone }),
  };
}

function sourceProgress(
  member: Member,
  views: readonly SourceView[],
  received: ReadonlyMap<number, number>,
  all: number,
): SourceProgress {
  const { source, state } = member;
  const view = views.find((each) => each.source === source.id);
  const bytes = received.get(source.id) ?? 0;
  return {
    id: source.id,
    ...shownAs(member),
    state,
    bytes,
    share: all === 0 ? 0 : bytes / all,
    // Who waits, or is paused, may still send what it was asked before.
    rate: state === 'banned' ? 0 : (view?.rate ?? 0),
    connections: view?.busy ?? 0,
  };
}

function sourceReport(
  member: Member,
  views: readonly SourceView[],
  bytes: number,
  own: number,
): Omit<SourceReport, 'failures'> {
  const { source, ban } = member;
  const view = views.find((each) => each.source === source.id);
  return {
    id: source.id,
    ...shownAs(member),
    bytes,
    share: own === 0 ? 0 : bytes / own,
    rate: view === undefined || view.busySeconds === 0 ? 0 : view.bytes / view.busySeconds,
    connections: source.opened,
    badChunks: view?.badChunks ?? 0,
    ...(ban === undefined ? {} : { ban: { code: ban.code, message: ban.message } }),
  };
}

function sum(numbers: Iterable<number>): number {
  let all = 0;
  for (const each of numbers) all += each;
  return all;
}
