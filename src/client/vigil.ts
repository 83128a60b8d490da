import { HeadwaterError } from '../core/errors.ts';
import { ASLEEP } from './asleep.ts';
import type { Attempt } from './attempt.ts';
import type { Company } from './company.ts';
import { shownChunks } from './holdings.ts';
import type { Candidate, Member } from './members.ts';
import type { Settings } from './options.ts';
import type { Lack, Progress } from './progress.ts';
import type { Totals } from './totals.ts';

/** Milliseconds between two looks. */
const LOOK = 200;
/** Milliseconds of silence, all sources in use away, before one of the other kind is used; doubles with each change. */
const PATIENCE = 5_000;

interface Options {
  readonly settings: Settings;
  readonly company: Company;
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
    const { settings, totals, progress, attempt } = this.#options;
    const now = performance.now();
    const current = attempt();
    const missing = this.#heldByNobody();
    const ours = current?.asking === false && missing.length === 0;
    if (ours || now - this.#lookedAt > LOOK + ASLEEP) this.#busyUntil = now;
    this.#lookedAt = now;
    const last = totals.lastBytesAt;
    const most = last === undefined ? settings.timeout.first : settings.timeout.later;
    const quiet = (now - Math.max(last ?? 0, progress.startedAt, this.#busyUntil)) / 1000;
    if (quiet > most) return this.#giveUp(most);
    progress.nothingComes(this.#lack(missing), most);
    if (current?.asking === true && !current.begun && quiet * 1000 > this.#patience)
      this.#turnToOthers(current);
  }

  /** Chunks that no source that is there holds, where that is why nothing is under way. */
  #heldByNobody(): readonly number[] {
    const current = this.#options.attempt();
    if (current?.idle !== true) return [];
    const here = this.#left.filter(({ state }) => state !== 'waiting');
    return current.heldByNone(here.map(({ source }) => source));
  }

  get #left(): Member[] {
    return this.#options.company.members.all.filter(({ state }) => state !== 'banned');
  }

  /** Why nothing can come now, if so. */
  #lack(missing: readonly number[]): Lack | undefined {
    const { company, attempt, lost } = this.#options;
    const left = this.#left;
    if ((left.length > 0 || company.alive) && left.every(({ state }) => state === 'waiting'))
      return { why: 'no source can be reached now', until: 'one answers' };
    const current = attempt();
    if (current === undefined || missing.length === 0) return undefined;
    const which = `${missing.length} of ${current.chunks} chunks (${shownChunks(missing)})`;
    const nowhere = current.heldByNone(left.map(({ source }) => source)).length > 0;
    if (nowhere && !company.alive && !company.roll.hopeful) {
      const why = `${which} are held by no source that is left; what is there is kept`;
      lost(new HeadwaterError('HW_SOURCES_LOST', why));
    }
    return { why: `${which} are held by no source that can be reached now`, until: 'one has them' };
  }

  #giveUp(most: number): void {
    const away = this.#options.company.members.all.flatMap(({ source, state }) =>
      state === 'banned' ? [] : [source.shown],
    );
    const who = away.length === 0 ? ', and none is there' : ` (${away.join(', ')})`;
    this.#options.lost(
      new HeadwaterError(
        'HW_SOURCES_LOST',
        `no source has sent anything for ${most} s${who}; what is there is kept`,
      ),
    );
  }

  #turnToOthers(attempt: Attempt): void {
    const { company, change } = this.#options;
    const { members } = company;
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
