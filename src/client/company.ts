import type { Bitmap } from '../core/bitmap.ts';
import { layoutOf, type Manifest } from '../core/manifest.ts';
import { FAULTS } from '../core/scheduler/faults.ts';
import type { TransportSettings } from '../transport/connection.ts';
import { majority, type Group } from './agreement.ts';
import type { Attempt } from './attempt.ts';
import { Members, type Known, type Member } from './members.ts';
import type { Settings } from './options.ts';
import type { Progress } from './progress.ts';
import { Regroup } from './regroup.ts';
import type { Renewal } from './renewal.ts';
import { RollCall } from './roll-call.ts';
import { Roster } from './roster.ts';
import { introduction } from './sources/introduction.ts';
import type { Introduction, Source } from './sources/source.ts';
import { Vouched, withoutRanges } from './sources/vouched.ts';
import type { Totals } from './totals.ts';
import type { StateChange } from './transfer.ts';

/** What is under way, for those who hear of sources. */
export interface Course {
  readonly attempt: Attempt | undefined;
  /** The group that is downloaded from. */
  chosen: Group | undefined;
  /** Sources whose word the manifest or the digest is that nobody else vouches for. */
  readonly witnesses: readonly Source[];
  /** What the caller knows of the file. */
  readonly known: Known;
}

interface Options {
  readonly settings: Settings;
  readonly transport: TransportSettings;
  readonly totals: Totals;
  readonly renewal: Renewal;
  readonly signal: AbortSignal;
  readonly course: Course;
  readonly progress: () => Pick<Progress, 'source' | 'notice'>;
  /** Something has become known of a source. */
  readonly heard: () => void;
  readonly failed: (error: unknown) => void;
}

/** The sources of a download: who comes and goes, what each says of itself, and what follows for what is under way. */
export class Company {
  readonly members: Members;
  readonly roll: RollCall;
  readonly #options: Options;
  readonly #roster: Roster;

  constructor(options: Options) {
    const { settings, signal, totals, renewal, failed } = options;
    this.#options = options;
    this.members = new Members({
      changed: (member, ...why) => options.progress().source(member, ...why),
      banned: (member) => this.#banned(member),
    });
    const layout = isManifest(settings.manifest) ? layoutOf(settings.manifest) : undefined;
    this.roll = new RollCall({
      signal,
      ask: (source, until) => introduction(source, layout, until),
      renew: (askedAt) => renewal.renew(askedAt),
      answered: (source, said) => this.#answered(this.members.of(source), said),
      waiting: (source, error, retryIn) => {
        totals.failed(source.id);
        this.members.change(this.members.of(source), 'waiting', error.code, error.message, retryIn);
        options.heard();
      },
      gone: (source, fault, error) => {
        totals.failed(source.id);
        this.members.ban(this.members.of(source), fault, error.message);
      },
      failed,
    });
    this.#roster = new Roster(settings, {
      joined: (given) => this.members.join(given, options.transport),
      withdrawn: (member, message, gone) => this.#withdrawn(member, message, gone),
      here: (member) => this.#here(member),
      replaced: (member) => this.#drop(member, `${member.source.shown} is another source now`),
      holding: (member, has) => this.#holding(member, has),
      ended: (error) => this.#feedEnded(error),
    });
  }

  /** Has them introduce themselves, now and as they come. */
  begin(): void {
    this.#roster.begin(this.#options.signal);
  }

  /** Who is not there, or is not to be asked, may be so later. */
  get mayCome(): boolean {
    if (!this.#roster.alive) return false;
    const { all } = this.members;
    return all.length === 0 || all.some(({ ban, away }) => ban === undefined && away !== undefined);
  }

  /** What is here and what they hold may change without anybody being asked. */
  get alive(): boolean {
    return this.#roster.alive;
  }

  close(): void {
    for (const { source } of this.members.all) source.close();
  }

  // What the caller says of them

  #here(member: Member): void {
    const { source, given } = member;
    if (member.away !== undefined) this.members.recall(member);
    if (member.ban !== undefined) return;
    const { size } = this.#options.course.known;
    if (member.introduction !== undefined) {
      if (this.#options.course.attempt?.recall(source) !== true) this.reconsider(member);
    } else if (given.known && size !== undefined) this.#answered(member, new Vouched(size));
    else this.roll.add(source);
    this.#options.heard();
  }

  #withdrawn(member: Member, message: string, gone: boolean): void {
    this.roll.drop(member.source);
    this.members.withdraw(member, message, gone);
    this.#options.course.attempt?.withdraw(member.source, message, gone);
    this.#options.heard();
  }

  #drop(member: Member, message: string): void {
    this.roll.drop(member.source);
    this.#options.course.attempt?.drop(member.source, message);
    this.members.ban(member, 'withdrawn', message);
  }

  #holding(member: Member, has: Bitmap | undefined): void {
    member.source.has = has;
    this.#options.course.attempt?.holdingChanged(member.source);
  }

  #feedEnded(error: unknown): void {
    const { progress, heard } = this.#options;
    if (error !== undefined) {
      const why = error instanceof Error ? error.message : 'it broke off';
      progress().notice(`nobody tells of sources that come or go any more: ${why}`);
    }
    for (const member of this.members.all) {
      if (member.away?.gone === true) this.#drop(member, member.away.message);
      // Nobody else will tell when it goes on: it says so itself.
      else if (member.away !== undefined) this.#here(member);
    }
    heard();
  }

  // What is heard of them

  /** Holds them against what the caller knows of the file. */
  holdAgainst(known: Known): void {
    for (const member of this.members.all) this.members.holdAgainst(member, known);
  }

  #answered(member: Member, said: Introduction): void {
    member.introduction = said;
    this.members.holdAgainst(member, this.#options.course.known);
    if (member.ban !== undefined) return;
    if (said.ranges) this.members.change(member, 'running');
    else this.members.reserve(member);
    this.#options.heard();
    this.reconsider(member);
  }

  /** A source was heard of while the download is under way: it joins, or changes what most say. */
  reconsider({ source, introduction: said }: Member): void {
    const { course } = this.#options;
    const { attempt, chosen } = course;
    if (attempt === undefined || chosen === undefined || said === undefined) return;
    const { opinions } = this.members;
    const own = opinions.find((group) => group.ids.some((id) => chosen.ids.includes(id)));
    // Where a manifest is given, who is not banned means its file; none of those who began may be left.
    const same = own?.ids.includes(source.id) ?? course.known.size !== undefined;
    if (same) {
      course.chosen = own ?? { ...chosen, ids: [...chosen.ids, source.id] };
      if (!said.ranges) return;
      if (attempt.wholeFile && !attempt.begun) attempt.stop(new Regroup());
      else attempt.add(source, said);
    } else if (own !== undefined && course.known.sha256 === undefined) {
      const most = majority(opinions);
      if (most !== own) attempt.stop(new Regroup(this.members.disagreement(opinions)));
      if (most !== undefined) this.members.side(most);
    }
  }

  /** The scheduler, or a check, has something to say of a source. */
  hear(source: Source, { state, fault, message, retryIn }: StateChange): void {
    const member = this.members.of(source);
    // Who has said so has told it.
    if (fault === 'withdrawn') return;
    if (state === 'banned' && fault === 'no-ranges' && member.introduction !== undefined) {
      member.introduction = withoutRanges(member.introduction);
      this.members.reserve(member);
      this.#nobodyToAsk();
    } else if (state === 'banned' && fault !== undefined) this.members.ban(member, fault, message ?? '');
    else {
      const until = fault === 'expired' ? undefined : retryIn;
      this.members.change(member, state, fault && FAULTS[fault].code, message, until);
    }
  }

  #banned({ source, ban }: Member): void {
    const { heard, course } = this.#options;
    heard();
    this.#nobodyToAsk();
    // A digest that only such sources have stated is worth no more than they are.
    if (ban?.fault !== 'disagrees' || !course.witnesses.includes(source)) return;
    if (course.witnesses.some((each) => this.members.of(each).ban?.fault !== 'disagrees')) return;
    // What others were banned for was held against the word of these.
    for (const other of this.members.all) if (other.ban?.fault === 'bad-bytes') this.members.pardon(other);
    course.attempt?.stop(new Regroup());
  }

  /** Ends the attempt when none of its sources may be asked any more. */
  #nobodyToAsk(): void {
    const { attempt } = this.#options.course;
    if (attempt === undefined) return;
    const members = [...attempt.members].map((source) => this.members.of(source));
    const left = members.some(
      ({ ban, introduction: said }) => ban === undefined && said?.ranges === !attempt.wholeFile,
    );
    // What has left cannot be begun anew: it waits for those who may still come.
    if (!left && !(attempt.begun && this.mayCome)) attempt.stop(new Regroup());
  }
}

export function isManifest(manifest: Settings['manifest']): manifest is Manifest {
  return typeof manifest === 'object' && !(manifest instanceof URL);
}
