import { HeadwaterError, type ErrorCode } from '../core/errors.ts';
import { FAULTS } from '../core/scheduler/faults.ts';
import type { FaultKind } from '../core/scheduler/types.ts';
import type { TransportSettings } from '../transport/connection.ts';
import { groupClaims, type Claim, type Group } from './agreement.ts';
import type { GivenSource } from './given-sources.ts';
import { Source, type Introduction } from './sources/source.ts';
import type { SourceState } from './types.ts';

/** A source and what became of it. */
export interface Member {
  readonly source: Source;
  /** What its caller says of it, as of now. */
  given: GivenSource;
  /** Why it is not to be asked now, by the word of its caller; `gone`: it is not even there. */
  away: { readonly message: string; readonly gone: boolean } | undefined;
  state: SourceState;
  introduction: Introduction | undefined;
  /** It was banned since most said something else; what it said counts on. */
  outvoted: boolean;
  ban: { readonly fault: FaultKind; readonly code: ErrorCode; readonly message: string } | undefined;
}

/** A member that may be downloaded from, whose size is known. */
export type Candidate = Member & { readonly introduction: Introduction & { readonly size: number } };

/** What the caller knows of the file. */
export interface Known {
  readonly size: number | undefined;
  readonly sha256: string | undefined;
}

/** Why a source waits that its caller has withdrawn. */
const AWAY = FAULTS.withdrawn.code;
/** What a source is banned for whatever else becomes of it. */
const LASTING: ReadonlySet<FaultKind> = new Set(['bad-bytes', 'disagrees', 'changed']);

interface Listener {
  changed(member: Member, code?: ErrorCode, message?: string, retryIn?: number): void;
  banned(member: Member): void;
}

/** All sources of a download, what became of each, and what they say together. */
export class Members {
  readonly #all: Member[] = [];
  readonly #listener: Listener;

  constructor(listener: Listener) {
    this.#listener = listener;
  }

  /** In the order in which they were given or joined; the same array for good. */
  get all(): readonly Member[] {
    return this.#all;
  }

  /** One more source. */
  join(given: GivenSource, transport: TransportSettings): Member {
    const id = this.#all.length + 1;
    const member: Member = {
      source: new Source(id, given.url, () => member.given.headers(), transport),
      given,
      away: undefined,
      state: 'probing',
      introduction: undefined,
      outvoted: false,
      ban: undefined,
    };
    member.source.has = given.has;
    this.#all.push(member);
    return member;
  }

  of(source: Source): Member {
    const member = this.all[source.id - 1];
    if (member === undefined) throw new Error(`no source ${source.id}`);
    return member;
  }

  /** Those that may be downloaded from. */
  get candidates(): Candidate[] {
    return this.all.filter(
      (member): member is Candidate => member.introduction?.size !== undefined && member.ban === undefined,
    );
  }

  in(group: Group): Candidate[] {
    return this.candidates.filter(({ source }) => group.ids.includes(source.id));
  }

  /** Candidates that mean the same file, by what they say; the largest group first. */
  get groups(): Group[] {
    return groupClaims(this.candidates.flatMap(claim));
  }

  /** The same, with those that were outvoted so far: a majority must not depend on who answers first. */
  get opinions(): Group[] {
    return groupClaims(this.all.filter(({ ban, outvoted }) => ban === undefined || outvoted).flatMap(claim));
  }

  /** A source that answers no ranges, and does not say how long the file is. */
  get sizeless(): Member | undefined {
    return this.all.find(
      ({ introduction, ban, away }) =>
        introduction !== undefined &&
        introduction.size === undefined &&
        ban === undefined &&
        away === undefined,
    );
  }

  // What becomes of one

  /** @param retryIn milliseconds */
  change(member: Member, state: SourceState, code?: ErrorCode, message?: string, retryIn?: number): void {
    if (member.ban !== undefined && state !== 'banned') return;
    if (member.away !== undefined && state !== 'banned' && code !== AWAY) return;
    if (member.state === state && state === 'running') return;
    member.state = state;
    this.#listener.changed(member, code, message, retryIn);
  }

  ban(member: Member, fault: FaultKind, message: string): void {
    if (member.ban !== undefined) return;
    const { code } = FAULTS[fault];
    member.ban = { fault, code, message };
    this.change(member, 'banned', code, message);
    this.#listener.banned(member);
  }

  /** Its caller says that it is not to be asked now. */
  withdraw(member: Member, message: string, gone: boolean): void {
    member.away = { message, gone };
    member.source.available = false;
    this.change(member, 'waiting', AWAY, message);
  }

  /** Its caller says that it may be asked again. What it was banned for may have passed, unless it was what it sent. */
  recall(member: Member): void {
    member.away = undefined;
    member.source.available = true;
    if (member.ban !== undefined && !LASTING.has(member.ban.fault)) member.ban = undefined;
    this.change(member, member.introduction === undefined ? 'probing' : 'running');
  }

  /** It was banned for nothing. */
  pardon(member: Member): void {
    member.ban = undefined;
    this.change(member, 'running');
  }

  /** It answers no ranges. */
  reserve(member: Member): void {
    const message = `${member.source.shown} answers no byte ranges: it is used only when nothing else is left`;
    this.change(member, 'waiting', 'HW_NO_RANGES', message);
  }

  /** What the caller knows of the file decides before what sources say. */
  holdAgainst(member: Member, { size, sha256 }: Known): void {
    const { source, introduction } = member;
    if (introduction === undefined) return;
    if (size !== undefined && introduction.size === undefined) {
      member.introduction = { ...introduction, size };
    } else if (size !== undefined && introduction.size !== size) {
      const sizes = `${introduction.size} bytes where the manifest says ${size}`;
      this.ban(member, 'disagrees', `${source.shown} has ${sizes}: it holds another file`);
    } else if (sha256 !== undefined && (introduction.sha256 ?? sha256) !== sha256) {
      this.ban(member, 'disagrees', `${source.shown} states another digest: it holds another file`);
    }
  }

  /** What most say counts: others are dropped, and who was dropped for saying it is back. */
  side(chosen: Group): void {
    for (const member of this.all) {
      if (!member.outvoted || !chosen.ids.includes(member.source.id)) continue;
      member.outvoted = false;
      this.pardon(member);
    }
    for (const member of this.candidates) {
      const { introduction, source } = member;
      if (chosen.ids.includes(source.id)) continue;
      member.outvoted = true;
      const same = introduction.size === chosen.size;
      const what = same ? 'states another digest' : `says ${introduction.size} bytes`;
      const most = `most others say ${chosen.size} bytes`;
      this.ban(member, 'disagrees', `${source.shown} ${what}, ${most}: it is not used`);
    }
  }

  // How it ends

  disagreement(groups: readonly Group[]): HeadwaterError {
    const says = groups
      .map(({ size, sha256, ids }) => {
        const who = ids.map((id) => this.all[id - 1]?.source.shown).join(', ');
        return `${who}: ${size} bytes${sha256 === undefined ? '' : `, SHA-256 ${sha256}`}`;
      })
      .join('; ');
    return new HeadwaterError(
      'HW_SOURCES_DISAGREE',
      `the sources hold different files and no majority says which is right (${says}); --sha256 or --manifest decides`,
    );
  }

  /** Why nothing more can come, when all are banned. */
  nobodyLeft(): HeadwaterError {
    const bans = this.all.flatMap(({ ban }) => (ban === undefined ? [] : [ban]));
    const reasons = bans.map((ban) => ban.message).join('; ');
    const codes = new Set(bans.map((ban) => ban.code));
    const [only] = codes;
    if (codes.has('HW_BAD_CHUNK'))
      return new HeadwaterError('HW_VERIFICATION', `no source has the right bytes: ${reasons}`);
    if (codes.size === 1 && only !== undefined) return new HeadwaterError(only, reasons);
    return new HeadwaterError('HW_SOURCES_LOST', `no source is left: ${reasons}`);
  }
}

function claim({ source, introduction }: Member): Claim[] {
  if (introduction?.size === undefined) return [];
  return [{ id: source.id, size: introduction.size, sha256: introduction.sha256 }];
}
