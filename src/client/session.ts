import { setTimeout as sleep } from 'node:timers/promises';

import { HeadwaterError } from '../core/errors.ts';
import type { Manifest } from '../core/manifest.ts';
import { backoff, FAULTS } from '../core/scheduler/faults.ts';
import type { TransportSettings } from '../transport/connection.ts';
import { majority, type Group } from './agreement.ts';
import { Attempt, type AttemptResult } from './attempt.ts';
import { loadManifest } from './given-manifest.ts';
import { inherited, type Left } from './inheritance.ts';
import { Members, type Known, type Member } from './members.ts';
import { offeredManifest } from './offered-manifest.ts';
import type { Settings } from './options.ts';
import { Progress } from './progress.ts';
import { RollCall } from './roll-call.ts';
import { SizelessAttempt } from './sizeless-attempt.ts';
import { SourceError } from './sources/fault.ts';
import { Source, type Introduction } from './sources/source.ts';
import type { FileIdentity } from './storage/identity.ts';
import { Totals } from './totals.ts';
import type { StateChange } from './transfer.ts';
import type { DownloadReport } from './types.ts';
import { Vigil } from './vigil.ts';
import { loneWitnesses } from './vouching.ts';

/** Milliseconds that the first answer waits for others, since one of them may bring a manifest. */
const GRACE = 100;

const NOBODY: Group = { size: 0, sha256: undefined, ids: [] };

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
    const sources = settings.sources.map(
      ({ url, headers }, at) => new Source(at + 1, url, headers, transport),
    );
    this.#members = new Members(sources, {
      changed: (member, ...why) => this.#progress.source(member, ...why),
      banned: (member) => this.#banned(member),
    });
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
        this.#members.change(this.#members.of(source), 'waiting', error.code, error.message, retryIn);
        this.#heard?.();
      },
      gone: (source, fault, error) => {
        this.#totals.failed(source.id);
        this.#members.ban(this.#members.of(source), fault, error.message);
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
      for (const member of this.#members.all) this.#members.holdAgainst(member, this.#known);
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
          this.#members.side(most);
          return most;
        }
        if (heardAll) throw this.#members.disagreement(opinions);
      }
      if (first === undefined && heardAll) {
        if (this.#members.sizeless !== undefined) return undefined;
        if (!hopeful) throw this.#members.nobodyLeft();
      }
      // Never a second grace because a timer came a moment early.
      const left =
        since === undefined || heardAll ? undefined : Math.ceil(since + GRACE - performance.now()) + 1;
      await this.#news(left);
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
    this.#witnesses = this.#digestKnown ? [] : loneWitnesses(candidates, sha256, offered?.source);
    const { resume, carried } = inherited(this.#left, { size: group.size, sha256 }, settings);
    const attempt = new Attempt({
      settings: { ...settings, resume },
      size: group.size,
      first: this.#first,
      wholeFile: !first.introduction.ranges,
      manifest,
      sha256,
      vouched: sha256 !== undefined && this.#witnesses.length === 0,
      carried,
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
      if (wrong) this.#members.ban(member, 'bad-bytes', error.message);
      else if (error instanceof SourceError) this.#members.ban(member, error.fault.kind, error.message);
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
        this.#members.ban(this.#members.of(source), 'bad-bytes', message);
      }
    } else if (this.#partContradicts(error)) {
      for (const { source, introduction } of this.#members.in(this.#chosen ?? NOBODY)) {
        const sizes = `${introduction.size} bytes, and what is here of the file with that digest has another size`;
        this.#members.ban(this.#members.of(source), 'disagrees', `${source.shown} says ${sizes}`);
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
    this.#members.holdAgainst(member, this.#known);
    if (member.ban !== undefined) return;
    if (introduction.ranges) this.#members.change(member, 'running');
    else this.#members.reserve(member);
    this.#heard?.();
    this.#reconsider(member);
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
      if (most !== undefined) this.#members.side(most);
    }
  }

  /** The scheduler, or a check, has something to say of a source. */
  #hear(source: Source, { state, fault, message, retryIn }: StateChange): void {
    const member = this.#members.of(source);
    if (state === 'banned' && fault === 'no-ranges' && member.introduction !== undefined) {
      member.introduction = { ...member.introduction, ranges: false };
      this.#members.reserve(member);
      this.#nobodyToAsk();
    } else if (state === 'banned' && fault !== undefined) this.#members.ban(member, fault, message ?? '');
    else this.#members.change(member, state, fault && FAULTS[fault].code, message, retryIn);
  }

  /** What the caller knows of the file. */
  get #known(): Known {
    return { size: this.#manifest?.size, sha256: this.#manifest?.sha256 ?? this.#settings.sha256 };
  }

  get #digestKnown(): boolean {
    return this.#known.sha256 !== undefined;
  }

  #banned({ source, ban }: Member): void {
    this.#heard?.();
    this.#nobodyToAsk();
    // A digest that only such sources have stated is worth no more than they are.
    if (ban?.fault !== 'disagrees' || !this.#witnesses.includes(source)) return;
    if (this.#witnesses.some((each) => this.#members.of(each).ban?.fault !== 'disagrees')) return;
    // What others were banned for was held against the word of these.
    for (const other of this.#members.all) if (other.ban?.fault === 'bad-bytes') this.#members.pardon(other);
    this.#attempt?.stop(new Regroup());
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
