import type { ErrorCode } from '../core/errors.ts';
import { RateMeter } from '../core/scheduler/rate.ts';
import type { SourceView } from '../core/scheduler/types.ts';
import type { AttemptResult } from './attempt.ts';
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
  #away = false;

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
      url: member.source.shown,
      state: member.state,
      ...(code === undefined ? {} : { code }),
      ...(message === undefined ? {} : { message }),
      ...(retryIn === undefined ? {} : { retryIn: retryIn / 1000 }),
    });
  }

  notice(message: string, code?: ErrorCode): void {
    this.#settings.onEvent({ event: 'notice', message, ...(code === undefined ? {} : { code }) });
  }

  /** Whether every source is away; said once each time it comes to that. */
  allAway(away: boolean, timeout: number): void {
    if (away && !this.#away) {
      const end = timeout === Infinity ? 'until one answers' : `up to ${timeout} s`;
      this.notice(`no source can be reached now; waiting ${end}`, 'HW_SOURCES_LOST');
    }
    this.#away = away;
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

function sourceProgress(
  { source, state }: Member,
  views: readonly SourceView[],
  received: ReadonlyMap<number, number>,
  all: number,
): SourceProgress {
  const view = views.find((each) => each.source === source.id);
  const bytes = received.get(source.id) ?? 0;
  return {
    id: source.id,
    url: source.shown,
    state,
    bytes,
    share: all === 0 ? 0 : bytes / all,
    rate: state === 'running' ? (view?.rate ?? 0) : 0,
    connections: view?.busy ?? 0,
  };
}

function sourceReport(
  { source, ban }: Member,
  views: readonly SourceView[],
  bytes: number,
  own: number,
): Omit<SourceReport, 'failures'> {
  const view = views.find((each) => each.source === source.id);
  return {
    id: source.id,
    url: source.shown,
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
