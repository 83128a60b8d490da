import { setTimeout as sleep } from 'node:timers/promises';

import { HeadwaterError, type ErrorCode } from '../core/errors.ts';
import type { Manifest } from '../core/manifest.ts';
import { backoff, FAULTS } from '../core/scheduler/faults.ts';
import type { FaultKind } from '../core/scheduler/types.ts';
import type { TransportSettings } from '../transport/connection.ts';
import { majority, type Group } from './agreement.ts';
import { Attempt, type AttemptResult } from './attempt.ts';
import { loadManifest } from './given-manifest.ts';
import { Members, type Member } from './members.ts';
import { offeredManifest } from './offered-manifest.ts';
import type { Settings } from './options.ts';
import { Progress } from './progress.ts';
import { RollCall } from './roll-call.ts';
import { SizelessAttempt } from './sizeless-attempt.ts';
import { SourceError } from './sources/fault.ts';
import { Source, type Introduction } from './sources/source.ts';
import type { FileIdentity } from './storage/identity.ts';
import type { Tally } from './tally.ts';
import { Totals } from './totals.ts';
import type { StateChange } from './transfer.ts';
import type { DownloadReport, SourceState } from './types.ts';
import { Vigil } from './vigil.ts';

/** Milliseconds that the first answer waits for others, since one of them may bring a manifest. */
const GRACE = 100;

const NOBODY: Group = { size: 0, sha256: undefined, ids: [] };

/** What an attempt was about, and what it left for the next one. */
interface Left {
  readonly size: number;
  readonly sha256: string | undefined;
  readonly tally: Tally;
  /** No byte of it is of use. */
  readonly wrong: boolean;
}

/** One download from the first question to the report. Owns its sources. */
export class Session {
  readonly #settings: Settings;
  readonly #transport: TransportSettings;
  readonly #members: Members;
  readonly #stop = new AbortController();
  readonly #roll: RollCall;
  readonly #totals = new Totals();
  readonly #progress: Progress;
  readonly #vigil: Vigil;
  #manifest: Manifest | undefined;
  /** The group that is downloaded from, how, and what it left when it is over. */
  #chosen: Group | undefined;
  #attempt: Attempt | undefined;
  #left: Left | undefined;
  /** Sources whose word the manifest or the digest is that nobody else vouches for. */
  #witnesses: readonly Source[] = [];
  /** Who named the output. */
  #first: Source | undefined;
  #heard: (() => void) | undefined;
  #fatal: unknown;
  /** Bytes that another run can go on from, as far as is known. */
  #kept: number | undefined;

  constructor(settings: Settings, transport: TransportSettings) {
    this.#settings = settings;
    this.#transport = transport;
    const sources = settings.urls.map((url, at) => new Source(at + 1, url, settings.headers, transport));
    this.#members = new Members(sources);
    this.#progress = new Progress(settings, this.#members.all, this.#totals);
    this.#vigil = new Vigil({
      settings,
      members: this.#members,
      totals: this.#totals,
      progress: this.#progress,
      attempt: () => this.#attempt,
      lost: (error) => this.#fail(error),
      change: () => this.#attempt?.stop(new Regroup()),
    });
    this.#roll = new RollCall(sources, this.#stop.signal, {
      answered: (source, introduction) => this.#answered(source, introduction),
      waiting: (source, error, retryIn) => {
        this.#totals.failed(source.id);
        this.#change(this.#members.of(source), 'waiting', error.code, error.message, retryIn);
        this.#heard?.();
      },
      gone: (source, fault, error) => {
        this.#totals.failed(source.id);
        this.#ban(this.#members.of(source), fault, error.message);
      },
      failed: (error) => this.#fail(error),
    });
  }

  async run(): Promise<DownloadReport> {
    const { signal } = this.#settings;
    const interrupt = (): void => this.#fail(new Interruption());
    if (signal?.aborted === true) interrupt();
    signal?.addEventListener('abort', interrupt);
    this.#vigil.begin();
    try {
      if (this.#fatal !== undefined) throw this.#fatal;
      this.#roll.start();
      this.#manifest = await loadManifest(this.#settings, this.#transport, this.#stop.signal);
      for (const member of this.#members.all) this.#holdAgainstDigest(member);
      const result = await this.#download();
      return this.#progress.done(result);
    } catch (error) {
      // What stopped it says more than what then broke.
      const told = this.#fatal ?? error;
      if (!(told instanceof Interruption)) throw told;
      throw new HeadwaterError('HW_INTERRUPTED', 'interrupted; what is there is kept', {
        cause: signal?.reason,
        details: { keptBytes: this.#kept },
      });
    } finally {
      this.#vigil.end();
      signal?.removeEventListener('abort', interrupt);
      this.#progress.close();
      this.#stop.abort();
      for (const { source } of this.#members.all) source.close();
    }
  }

  /** Tries groups of sources, the largest first, until one verifies. */
  async #download(): Promise<AttemptResult> {
    for (let failures = 1; ; failures++) {
      const group = await this.#choose();
      this.#chosen = group;
      try {
        return group === undefined ? await this.#trySizeless() : await this.#try(group);
      } catch (error) {
        await this.#goOn(error, failures);
      } finally {
        this.#attempt = undefined;
      }
    }
  }

  /** Waits for answers until there is a group to download from; undefined: none but a source that tells no size. */
  async #choose(): Promise<Group | undefined> {
    let since: number | undefined;
    for (;;) {
      if (this.#fatal !== undefined) throw this.#fatal;
      const { groups } = this.#members;
      const { heardAll, hopeful } = this.#roll;
      const [first] = groups;
      if (first !== undefined) since ??= performance.now();
      if (first !== undefined && (heardAll || performance.now() - (since ?? 0) > GRACE)) {
        if (this.#digestKnown) return first;
        const { opinions } = this.#members;
        if (opinions.length === 1) return first;
        const most = majority(opinions);
        if (most !== undefined) {
          this.#side(most);
          return most;
        }
        if (heardAll) throw this.#members.disagreement(opinions);
      }
      if (first === undefined && heardAll) {
        if (this.#members.sizeless !== undefined) return undefined;
        if (!hopeful) throw this.#members.nobodyLeft();
      }
      await this.#news(first === undefined || heardAll ? undefined : GRACE);
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
    const settings = this.#settings;
    const offered = this.#manifest === undefined ? await this.#offeredManifest(group) : undefined;
    if (this.#fatal !== undefined) throw this.#fatal;
    const manifest = this.#manifest ?? offered?.manifest;
    const sha256 = settings.sha256 ?? manifest?.sha256 ?? group.sha256;
    const candidates = this.#members.in(group);
    const using = this.#vigil.pick(candidates);
    const [first] = using;
    if (first === undefined) throw new Regroup();
    this.#first ??= first.source;
    const stating = candidates.filter(
      ({ source, introduction }) => source === offered?.source || introduction.sha256 === sha256,
    );
    const alone = !this.#digestKnown && sha256 !== undefined && stating.length * 2 <= candidates.length;
    this.#witnesses = alone ? stating.map(({ source }) => source) : [];
    const left = this.#left;
    const same = left !== undefined && !left.wrong && left.size === group.size && left.sha256 === sha256;
    const own = left !== undefined && (left.wrong || !left.tally.hasEarlier);
    const attempt = new Attempt({
      settings: { ...settings, resume: same || (settings.resume && !own) },
      size: group.size,
      first: this.#first,
      wholeFile: !first.introduction.ranges,
      manifest,
      sha256,
      vouched: sha256 !== undefined && !alone,
      carried: same ? left.tally : undefined,
      totals: this.#totals,
      progress: this.#progress,
      onState: (source, change) => this.#hear(source, change),
      expecting: () => !this.#roll.heardAll,
    });
    this.#attempt = attempt;
    // Who was heard of while the manifest was read is in no group yet.
    for (const late of this.#members.candidates) if (!candidates.includes(late)) this.#reconsider(late);
    try {
      return await attempt.run(
        new Map(using.map(({ source, introduction }): [Source, Introduction] => [source, introduction])),
      );
    } catch (error) {
      const wrong = error instanceof HeadwaterError && error.code === 'HW_VERIFICATION';
      if (attempt.opened) this.#left = { size: group.size, sha256, tally: attempt.tally, wrong };
      this.#kept = attempt.kept;
      throw error;
    }
  }

  async #trySizeless(): Promise<AttemptResult> {
    const member = this.#members.sizeless;
    if (member === undefined) throw new Regroup();
    const { sha256 = member.introduction?.sha256 } = this.#settings;
    // What breaks off begins anew.
    this.#kept = 0;
    try {
      return await new SizelessAttempt({
        settings: this.#settings,
        member,
        sha256,
        totals: this.#totals,
        progress: this.#progress,
        onState: (change) => this.#hear(member.source, change),
        signal: this.#stop.signal,
      }).run();
    } catch (error) {
      if (!(error instanceof HeadwaterError)) throw error;
      const wrong = error.code === 'HW_VERIFICATION' && typeof this.#settings.output !== 'object';
      if (wrong) this.#ban(member, 'bad-bytes', error.message);
      else if (error instanceof SourceError) this.#ban(member, error.fault.kind, error.message);
      else throw error;
      throw new Regroup(error);
    }
  }

  #offeredManifest(group: Group): ReturnType<typeof offeredManifest> {
    const wanted = { size: group.size, sha256: this.#settings.sha256 ?? group.sha256 };
    return offeredManifest(this.#members.in(group), wanted, this.#stop.signal, (message) =>
      this.#progress.notice(message),
    );
  }

  /** @throws what ends the download; otherwise there is something else to try */
  async #goOn(error: unknown, failures: number): Promise<void> {
    if (this.#fatal !== undefined) throw this.#fatal;
    if (error instanceof Regroup) {
      if (this.#attempt?.begun === true) throw error.reason ?? this.#members.nobodyLeft();
    } else if (error instanceof HeadwaterError && error.code === 'HW_VERIFICATION') {
      const tried = [...(this.#attempt?.members ?? [])];
      // Who was not heard of yet may have the right bytes.
      while (!this.#roll.heardAll && this.#fatal === undefined) await this.#news(undefined);
      const others = this.#members.candidates.filter(({ source }) => !tried.includes(source));
      if (others.length === 0 || this.#attempt?.begun === true) throw error;
      for (const source of tried) {
        const message = `${source.shown} has other bytes than the digest is of`;
        this.#ban(this.#members.of(source), 'bad-bytes', message);
      }
    } else if (this.#partContradicts(error)) {
      for (const { source, introduction } of this.#members.in(this.#chosen ?? NOBODY)) {
        const sizes = `${introduction.size} bytes, and what is here of the file with that digest has another size`;
        this.#ban(this.#members.of(source), 'disagrees', `${source.shown} says ${sizes}`);
      }
    } else if (error instanceof SourceError) {
      // What is here could not be held against any source.
      await sleep(backoff(failures, undefined, Math.random), undefined, { signal: this.#stop.signal });
    } else throw error;
  }

  /** An earlier run began a file with the digest that the caller knows, and of another size: so the sources are wrong. */
  #partContradicts(error: unknown): boolean {
    if (!(error instanceof HeadwaterError) || error.code !== 'HW_FILE_CHANGED') return false;
    const { was } = error.details as { was?: FileIdentity };
    return was?.sha256 !== undefined && was.sha256 === this.#settings.sha256;
  }

  // What is heard of sources

  #answered(source: Source, introduction: Introduction): void {
    const member = this.#members.of(source);
    member.introduction = introduction;
    this.#holdAgainstDigest(member);
    if (member.ban !== undefined) return;
    if (introduction.ranges) this.#change(member, 'running');
    else this.#keepInReserve(member);
    this.#heard?.();
    this.#reconsider(member);
  }

  /** What the caller knows of the file decides before what sources say. */
  #holdAgainstDigest(member: Member): void {
    const { source, introduction } = member;
    if (introduction === undefined) return;
    const manifest = this.#manifest;
    const known = manifest?.sha256 ?? this.#settings.sha256;
    if (manifest !== undefined && introduction.size === undefined) {
      member.introduction = { ...introduction, size: manifest.size };
    } else if (manifest !== undefined && introduction.size !== manifest.size) {
      const sizes = `${introduction.size} bytes where the manifest says ${manifest.size}`;
      this.#ban(member, 'disagrees', `${source.shown} has ${sizes}: it holds another file`);
    } else if (known !== undefined && (introduction.sha256 ?? known) !== known) {
      this.#ban(member, 'disagrees', `${source.shown} states another digest: it holds another file`);
    }
  }

  #keepInReserve(member: Member): void {
    const message = `${member.source.shown} answers no byte ranges: it is used only when nothing else is left`;
    this.#change(member, 'waiting', 'HW_NO_RANGES', message);
  }

  /** A source was heard of while the download is under way: it joins, or changes what most say. */
  #reconsider({ source, introduction }: Member): void {
    const attempt = this.#attempt;
    const chosen = this.#chosen;
    if (attempt === undefined || chosen === undefined || introduction === undefined) return;
    const { opinions } = this.#members;
    const own = opinions.find((group) => group.ids.some((id) => chosen.ids.includes(id)));
    if (own === undefined) return;
    if (own.ids.includes(source.id)) {
      this.#chosen = own;
      if (!introduction.ranges) return;
      if (attempt.wholeFile && !attempt.begun) attempt.stop(new Regroup());
      else attempt.add(source, introduction);
    } else if (!this.#digestKnown) {
      const most = majority(opinions);
      if (most !== own) attempt.stop(new Regroup(this.#members.disagreement(opinions)));
      if (most !== undefined) this.#side(most);
    }
  }

  /** The scheduler, or a check, has something to say of a source. */
  #hear(source: Source, { state, fault, message, retryIn }: StateChange): void {
    const member = this.#members.of(source);
    if (state === 'banned' && fault === 'no-ranges' && member.introduction !== undefined) {
      member.introduction = { ...member.introduction, ranges: false };
      this.#keepInReserve(member);
      this.#nobodyToAsk();
    } else if (state === 'banned' && fault !== undefined) this.#ban(member, fault, message ?? '');
    else this.#change(member, state, fault && FAULTS[fault].code, message, retryIn);
  }

  get #digestKnown(): boolean {
    return this.#manifest !== undefined || this.#settings.sha256 !== undefined;
  }

  /** What most say counts: others are dropped, and who was dropped for saying it is back. */
  #side(chosen: Group): void {
    for (const member of this.#members.all) {
      if (!member.outvoted || !chosen.ids.includes(member.source.id)) continue;
      member.outvoted = false;
      this.#pardon(member);
    }
    for (const member of this.#members.candidates) {
      const { introduction, source } = member;
      if (chosen.ids.includes(source.id)) continue;
      member.outvoted = true;
      const same = introduction.size === chosen.size;
      const what = same ? 'states another digest' : `says ${introduction.size} bytes`;
      const most = `most others say ${chosen.size} bytes`;
      this.#ban(member, 'disagrees', `${source.shown} ${what}, ${most}: it is not used`);
    }
  }

  #ban(member: Member, fault: FaultKind, message: string): void {
    if (member.ban !== undefined) return;
    const { code } = FAULTS[fault];
    member.ban = { fault, code, message };
    this.#change(member, 'banned', code, message);
    this.#heard?.();
    this.#nobodyToAsk();
    // A digest that only such sources have stated is worth no more than they are.
    if (fault !== 'disagrees' || !this.#witnesses.includes(member.source)) return;
    if (this.#witnesses.some((source) => this.#members.of(source).ban?.fault !== 'disagrees')) return;
    for (const other of this.#members.all) if (other.ban?.fault === 'bad-bytes') this.#pardon(other);
    this.#attempt?.stop(new Regroup());
  }

  /** What it was banned for was held against the word of others that are not believed any more. */
  #pardon(member: Member): void {
    member.ban = undefined;
    this.#change(member, 'running');
  }

  /** Ends the attempt when none of its sources may be asked any more. */
  #nobodyToAsk(): void {
    const attempt = this.#attempt;
    if (attempt === undefined) return;
    const members = [...attempt.members].map((source) => this.#members.of(source));
    const left = members.some(
      ({ ban, introduction }) => ban === undefined && introduction?.ranges === !attempt.wholeFile,
    );
    if (!left) attempt.stop(new Regroup());
  }

  #change(member: Member, state: SourceState, code?: ErrorCode, message?: string, retryIn?: number): void {
    if (member.ban !== undefined && state !== 'banned') return;
    if (member.state === state && state === 'running') return;
    member.state = state;
    this.#progress.source(member, code, message, retryIn);
  }

  #fail(error: unknown): void {
    if (this.#fatal !== undefined) return;
    this.#fatal = error;
    this.#stop.abort();
    this.#attempt?.stop(error);
    this.#heard?.();
  }
}

/** The caller has stopped it. */
class Interruption extends Error {}

/** Which sources are downloaded from has to be thought over again. */
class Regroup extends Error {
  /** Why the download ends, if that cannot be. */
  readonly reason: HeadwaterError | undefined;

  constructor(reason?: HeadwaterError) {
    super('other sources are needed');
    this.reason = reason;
  }
}
