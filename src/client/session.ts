import { HeadwaterError, type ErrorCode } from '../core/errors.ts';
import { MOST_MANIFEST_BYTES, parseManifest, type Manifest } from '../core/manifest.ts';
import { FAULTS } from '../core/scheduler/faults.ts';
import type { FaultKind } from '../core/scheduler/types.ts';
import type { TransportSettings } from '../transport/connection.ts';
import { groupClaims, majority, type Claim, type Group } from './agreement.ts';
import { Attempt, type AttemptResult } from './attempt.ts';
import { loadManifest } from './given-manifest.ts';
import type { Settings } from './options.ts';
import { Progress } from './progress.ts';
import { RollCall } from './roll-call.ts';
import { readText } from './sources/probe.ts';
import { Source, type Introduction } from './sources/source.ts';
import type { DownloadReport, SourceState } from './types.ts';

/** Milliseconds that the first answer waits for others, since one of them may bring a manifest. */
const GRACE = 100;
/** Milliseconds between looks at whether the download has waited too long. */
const WATCH = 200;

/** A source and what became of it. */
export interface Member {
  readonly source: Source;
  state: SourceState;
  introduction: Introduction | undefined;
  ban: { readonly fault: FaultKind; readonly code: ErrorCode; readonly message: string } | undefined;
}

/** One download from the first question to the report. Owns its sources. */
export class Session {
  readonly #settings: Settings;
  readonly #transport: TransportSettings;
  readonly #members: readonly Member[];
  readonly #stop = new AbortController();
  readonly #roll: RollCall;
  readonly #progress: Progress;
  #attempt: Attempt | undefined;
  /** The group that is downloaded from. */
  #chosen: Group | undefined;
  /** Groups that were tried and did not verify. */
  readonly #tried = new Set<number>();
  #manifest: Manifest | undefined;
  #heard: (() => void) | undefined;
  #fatal: unknown;

  constructor(settings: Settings, transport: TransportSettings) {
    this.#settings = settings;
    this.#transport = transport;
    this.#members = settings.urls.map((url, index) => ({
      source: new Source(index + 1, url, settings.headers, transport),
      state: 'probing' as const,
      introduction: undefined,
      ban: undefined,
    }));
    this.#progress = new Progress(settings, this.#members);
    this.#roll = new RollCall(
      this.#members.map((member) => member.source),
      this.#stop.signal,
      {
        answered: (source, introduction) => this.#answered(source, introduction),
        waiting: (source, error, retryIn) =>
          this.#change(this.#member(source), 'waiting', error.code, error.message, retryIn),
        gone: (source, fault, error) => this.#ban(this.#member(source), fault, error.message),
        failed: (error) => this.#fail(error),
      },
    );
  }

  async run(): Promise<DownloadReport> {
    const { signal } = this.#settings;
    const interrupt = (): void =>
      this.#fail(new HeadwaterError('HW_INTERRUPTED', 'interrupted; what is there is kept'));
    if (signal?.aborted === true) interrupt();
    signal?.addEventListener('abort', interrupt);
    const watch = setInterval(() => this.#watch(), WATCH);
    try {
      if (this.#fatal !== undefined) throw this.#fatal;
      this.#roll.start();
      this.#manifest = await loadManifest(this.#settings, this.#transport, this.#stop.signal);
      const result = await this.#download();
      return this.#progress.done(result);
    } catch (error) {
      // What stopped it says more than what then broke.
      throw this.#fatal ?? error;
    } finally {
      clearInterval(watch);
      signal?.removeEventListener('abort', interrupt);
      this.#progress.close();
      this.#stop.abort();
      for (const { source } of this.#members) source.close();
    }
  }

  /** Tries groups of sources, the largest first, until one verifies. */
  async #download(): Promise<AttemptResult> {
    for (;;) {
      const group = await this.#choose();
      this.#chosen = group;
      try {
        return await this.#try(group);
      } catch (error) {
        if (error instanceof Outvoted && this.#fatal === undefined) continue;
        const next =
          error instanceof HeadwaterError && error.code === 'HW_VERIFICATION' && this.#others().length > 0;
        if (!next || this.#fatal !== undefined) throw error;
        for (const id of group.ids) this.#tried.add(id);
      } finally {
        this.#attempt = undefined;
      }
    }
  }

  /** Waits for answers until there is a group to download from. */
  async #choose(): Promise<Group> {
    const since = performance.now();
    for (;;) {
      if (this.#fatal !== undefined) throw this.#fatal;
      const groups = this.#groups();
      const patient = this.#roll.heardAll || performance.now() - since > GRACE;
      const [first] = groups;
      if (first !== undefined && patient) {
        if (groups.length === 1 || this.#digestKnown) return first;
        const most = majority(groups);
        if (most !== undefined) {
          this.#dropOthers(most);
          return most;
        }
        if (this.#roll.heardAll) throw this.#disagree(groups);
      }
      if (first === undefined && this.#roll.heardAll && !this.#roll.hopeful) throw this.#nobodyLeft();
      await this.#news(first === undefined || this.#roll.heardAll ? undefined : GRACE);
    }
  }

  #news(most: number | undefined): Promise<void> {
    return new Promise((resolve) => {
      const timer = most === undefined ? undefined : setTimeout(resolve, most);
      this.#heard = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async #try(group: Group): Promise<AttemptResult> {
    const members = this.#members.filter((member) => group.ids.includes(member.source.id) && usable(member));
    const ranged = members.filter((member) => member.introduction?.ranges === true);
    const [first] = ranged.length > 0 ? ranged : members;
    if (first?.introduction === undefined) throw this.#nobodyLeft();
    const manifest = this.#manifest ?? (await this.#offeredManifest(ranged, group));
    if (this.#fatal !== undefined) throw this.#fatal;
    const attempt = new Attempt({
      settings: this.#settings,
      size: group.size,
      first: first.source,
      wholeFile: !first.introduction.ranges,
      manifest,
      sha256: this.#settings.sha256 ?? manifest?.sha256 ?? group.sha256,
      progress: this.#progress,
      onState: (source, { state, fault, message, retryIn }) => {
        const member = this.#member(source);
        if (state === 'banned' && fault !== undefined) return this.#ban(member, fault, message ?? '');
        this.#change(member, state, fault === undefined ? undefined : FAULTS[fault].code, message, retryIn);
      },
    });
    this.#attempt = attempt;
    const joining = new Map<Source, Introduction>();
    for (const { source, introduction } of ranged.length > 0 ? ranged : [first]) {
      if (introduction !== undefined) joining.set(source, introduction);
    }
    return attempt.run(joining);
  }

  /** The manifest that one of the sources offers, if it is readable and fits. */
  async #offeredManifest(members: readonly Member[], group: Group): Promise<Manifest | undefined> {
    for (const { source, introduction } of members) {
      if (introduction?.manifest === undefined) continue;
      try {
        const text = await readText(source, introduction.manifest, MOST_MANIFEST_BYTES, this.#stop.signal);
        const manifest = parseManifest(text, source.shown);
        const wanted = this.#settings.sha256 ?? group.sha256;
        if (manifest.size === group.size && (wanted === undefined || wanted === manifest.sha256))
          return manifest;
        this.#progress.notice(`the manifest that ${source.shown} offers is of another file and is not used`);
      } catch (error) {
        if (!(error instanceof HeadwaterError)) throw error;
        this.#progress.notice(
          `the manifest that ${source.shown} offers cannot be used: ${error.message}`,
          error.code,
        );
      }
    }
    return undefined;
  }

  #answered(source: Source, introduction: Introduction): void {
    const member = this.#member(source);
    member.introduction = introduction;
    const known = this.#manifest?.sha256 ?? this.#settings.sha256;
    const wrong =
      known !== undefined && introduction.sha256 !== undefined && introduction.sha256 !== known
        ? 'states another digest'
        : this.#manifest !== undefined && introduction.size !== this.#manifest.size
          ? `has ${introduction.size} bytes where the manifest says ${this.#manifest.size}`
          : undefined;
    if (wrong !== undefined) {
      this.#ban(member, 'disagrees', `${source.shown} ${wrong}: it holds another file`);
      return;
    }
    this.#change(member, 'running');
    this.#heard?.();
    if (this.#attempt !== undefined && this.#chosen !== undefined) this.#late(member, introduction);
  }

  /** A source that answered when the download was already under way. */
  #late(member: Member, introduction: Introduction): void {
    const { source } = member;
    const groups = this.#groups();
    const own = groups.find((group) => group.ids.includes(this.#chosen?.ids[0] ?? -1));
    if (own?.ids.includes(source.id) === true) {
      this.#chosen = own;
      if (introduction.ranges) this.#attempt?.add(source, introduction);
      return;
    }
    if (this.#digestKnown) return;
    const most = majority(groups);
    if (most === undefined) return this.#fail(this.#disagree(groups));
    this.#dropOthers(most);
    if (most !== own) this.#attempt?.stop(new Outvoted());
  }

  #groups(): Group[] {
    const claims: Claim[] = [];
    for (const { source, introduction, ban } of this.#members) {
      if (introduction === undefined || ban !== undefined || this.#tried.has(source.id)) continue;
      claims.push({ id: source.id, size: introduction.size, sha256: introduction.sha256 });
    }
    return groupClaims(claims);
  }

  /** Groups beside the chosen one that were not tried. */
  #others(): Group[] {
    return this.#groups().filter((group) => !group.ids.some((id) => this.#chosen?.ids.includes(id) === true));
  }

  get #digestKnown(): boolean {
    return this.#manifest !== undefined || this.#settings.sha256 !== undefined;
  }

  #dropOthers(chosen: Group): void {
    for (const member of this.#members) {
      const { introduction, source, ban } = member;
      if (introduction === undefined || ban !== undefined || chosen.ids.includes(source.id)) continue;
      const what =
        introduction.size === chosen.size ? 'states another digest' : `says ${introduction.size} bytes`;
      this.#ban(
        member,
        'disagrees',
        `${source.shown} ${what}, most others say ${chosen.size} bytes: it is not used`,
      );
    }
  }

  #disagree(groups: readonly Group[]): HeadwaterError {
    const says = groups
      .map(({ size, sha256, ids }) => {
        const who = ids.map((id) => this.#members[id - 1]?.source.shown).join(', ');
        return `${who}: ${size} bytes${sha256 === undefined ? '' : `, SHA-256 ${sha256}`}`;
      })
      .join('; ');
    return new HeadwaterError(
      'HW_SOURCES_DISAGREE',
      `the sources hold different files and no majority says which is right (${says}); --sha256 or --manifest decides`,
    );
  }

  #ban(member: Member, fault: FaultKind, message: string): void {
    if (member.ban !== undefined) return;
    const { code } = FAULTS[fault];
    member.ban = { fault, code, message };
    this.#change(member, 'banned', code, message);
    this.#heard?.();
    if (this.#members.every((each) => each.ban !== undefined)) this.#attemptEnds(this.#nobodyLeft());
    else if (this.#chosen?.ids.every((id) => this.#members[id - 1]?.ban !== undefined) === true) {
      // Others may still answer, or hold another file that verifies.
      if (!this.#roll.hopeful) this.#attemptEnds(this.#nobodyLeft());
    }
  }

  #attemptEnds(error: HeadwaterError): void {
    if (this.#attempt !== undefined) this.#attempt.stop(error);
    else if (this.#members.every((each) => each.ban !== undefined)) this.#fail(error);
  }

  /** Why nothing more can come. */
  #nobodyLeft(): HeadwaterError {
    const bans = this.#members.flatMap(({ ban }) => (ban === undefined ? [] : [ban]));
    const reasons = bans.map((ban) => ban.message).join('; ');
    const kinds = new Set(bans.map((ban) => ban.fault));
    const [only] = bans;
    if (kinds.has('bad-bytes'))
      return new HeadwaterError('HW_VERIFICATION', `no source has the right bytes: ${reasons}`);
    if (kinds.size === 1 && only !== undefined) return new HeadwaterError(only.code, reasons);
    return new HeadwaterError('HW_SOURCES_LOST', `no source is left: ${reasons}`);
  }

  #change(member: Member, state: SourceState, code?: ErrorCode, message?: string, retryIn?: number): void {
    if (member.ban !== undefined && state !== 'banned') return;
    if (member.state === state && state === 'running') return;
    member.state = state;
    this.#progress.source(member, code, message, retryIn);
  }

  /** Nobody has sent anything for too long, or everybody is away. */
  #watch(): void {
    const { timeout } = this.#settings;
    const last = this.#attempt?.lastBytesAt;
    const quiet = (performance.now() - Math.max(last ?? 0, this.#progress.startedAt)) / 1000;
    const most = last === undefined ? timeout.first : timeout.later;
    if (quiet > most && this.#attempt?.settling !== true) {
      const away = this.#members.flatMap(({ source, state }) => (state === 'banned' ? [] : [source.shown]));
      this.#fail(
        new HeadwaterError(
          'HW_SOURCES_LOST',
          `no source has sent anything for ${most} s (${away.join(', ')}); what is there is kept`,
        ),
      );
    }
    const left = this.#members.filter((member) => member.state !== 'banned');
    this.#progress.allAway(left.length > 0 && left.every((member) => member.state === 'waiting'), most);
  }

  #fail(error: unknown): void {
    if (this.#fatal !== undefined) return;
    this.#fatal = error;
    this.#stop.abort();
    this.#attempt?.stop(error);
    this.#heard?.();
  }

  #member(source: Source): Member {
    const member = this.#members[source.id - 1];
    if (member === undefined) throw new Error(`no source ${source.id}`);
    return member;
  }
}

/** More sources say something else than what was begun with. */
class Outvoted extends Error {}

function usable(member: Member): boolean {
  return member.ban === undefined && member.introduction !== undefined;
}
