import { HeadwaterError } from '../core/errors.ts';
import { ASLEEP } from './asleep.ts';
import type { Attempt } from './attempt.ts';
import type { Candidate, Members } from './members.ts';
import type { Settings } from './options.ts';
import type { Progress } from './progress.ts';
import type { Totals } from './totals.ts';

/** Milliseconds between two looks. */
const LOOK = 200;
/** Milliseconds of silence, all sources in use away, before one of the other kind is used; doubles with each change. */
const PATIENCE = 5_000;

interface Options {
  readonly settings: Settings;
  readonly members: Members;
  readonly totals: Totals;
  readonly progress: Progress;
  readonly attempt: () => Attempt | undefined;
  /** Nobody has sent anything for too long. */
  readonly lost: (error: HeadwaterError) => void;
  /** `pick` would give others now. */
  readonly change: () => void;
}

/** Watches over silence: gives up, tells that everybody is away, turns to sources that answer no ranges and back. */
export class Vigil {
  readonly #options: Options;
  #timer: NodeJS.Timeout | undefined;
  /** Until when the program was busy with itself: a silence before that is nobody's. */
  #busyUntil = 0;
  #lookedAt = 0;
  #patience = PATIENCE;
  #preferWhole = false;

  constructor(options: Options) {
    this.#options = options;
  }

  begin(): void {
    this.#lookedAt = performance.now();
    this.#timer = setInterval(() => this.#look(), LOOK);
  }

  end(): void {
    clearInterval(this.#timer);
  }

  /** Those of a group to download from: all that answer ranges, or one that does not. */
  pick(candidates: readonly Candidate[]): readonly Candidate[] {
    const ranged = candidates.filter(({ introduction }) => introduction.ranges);
    const whole = candidates.filter(({ introduction }) => !introduction.ranges);
    if (ranged.length === 0 || (this.#preferWhole && whole.length > 0)) return whole.slice(0, 1);
    return ranged;
  }

  #look(): void {
    const { settings, members, totals, progress, attempt } = this.#options;
    const now = performance.now();
    const current = attempt();
    if (current?.asking === false || now - this.#lookedAt > LOOK + ASLEEP) this.#busyUntil = now;
    this.#lookedAt = now;
    const last = totals.lastBytesAt;
    const most = last === undefined ? settings.timeout.first : settings.timeout.later;
    const quiet = (now - Math.max(last ?? 0, progress.startedAt, this.#busyUntil)) / 1000;
    if (quiet > most) return this.#giveUp(most);
    const left = members.all.filter(({ state }) => state !== 'banned');
    progress.allAway(left.length > 0 && left.every(({ state }) => state === 'waiting'), most);
    if (current?.asking === true && !current.begun && quiet * 1000 > this.#patience)
      this.#turnToOthers(current);
  }

  #giveUp(most: number): void {
    const away = this.#options.members.all.flatMap(({ source, state }) =>
      state === 'banned' ? [] : [source.shown],
    );
    this.#options.lost(
      new HeadwaterError(
        'HW_SOURCES_LOST',
        `no source has sent anything for ${most} s (${away.join(', ')}); what is there is kept`,
      ),
    );
  }

  #turnToOthers(attempt: Attempt): void {
    const { members, change } = this.#options;
    const inUse = [...attempt.members].map((source) => members.of(source));
    const away = inUse.every(({ state }) => state === 'banned' || state === 'waiting');
    const others = members.candidates.some(
      ({ introduction }) => introduction.ranges === attempt.wholeFile && introduction.size === attempt.size,
    );
    if (!away || !others) return;
    this.#preferWhole = !attempt.wholeFile;
    this.#patience *= 2;
    change();
  }
}
