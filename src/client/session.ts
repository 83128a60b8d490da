import { setTimeout as sleep } from 'node:timers/promises';

import { HeadwaterError } from '../core/errors.ts';
import type { Manifest } from '../core/manifest.ts';
import { backoff } from '../core/scheduler/faults.ts';
import type { TransportSettings } from '../transport/connection.ts';
import type { Group } from './agreement.ts';
import type { AttemptResult } from './attempt-result.ts';
import { Attempt } from './attempt.ts';
import { Choice } from './choice.ts';
import { Company, isManifest, type Course } from './company.ts';
import { loadManifest } from './given-manifest.ts';
import { inherited, type Left } from './inheritance.ts';
import type { Known } from './members.ts';
import { offeredManifest } from './offered-manifest.ts';
import type { Settings } from './options.ts';
import { Progress } from './progress.ts';
import { Interruption, Regroup } from './regroup.ts';
import { Renewal } from './renewal.ts';
import { SizelessAttempt } from './sizeless-attempt.ts';
import { SourceError } from './sources/fault.ts';
import type { Introduction, Source } from './sources/source.ts';
import type { FileIdentity } from './storage/identity.ts';
import { Totals } from './totals.ts';
import type { DownloadReport } from './types.ts';
import { Vigil } from './vigil.ts';
import { loneWitnesses } from './vouching.ts';

const NOBODY: Group = { size: 0, sha256: undefined, ids: [] };

/** One download from the first question to the report. Owns its sources. */
export class Session implements Course {
  readonly #settings: Settings;
  readonly #transport: TransportSettings;
  readonly #company: Company;
  readonly #choice: Choice;
  readonly #stop = new AbortController();
  readonly #totals = new Totals();
  readonly #progress: Progress;
  readonly #renewal: Renewal;
  readonly #vigil: Vigil;
  #manifest: Manifest | undefined;
  // How it is done now, and what the last attempt left.
  attempt: Attempt | undefined;
  chosen: Group | undefined;
  witnesses: readonly Source[] = [];
  #left: Left | undefined;
  /** Who named the output. */
  #first: Source | undefined;
  #fatal: unknown;
  /** Bytes that another run can go on from, as far as is known. */
  #kept: number | undefined;

  constructor(settings: Settings, transport: TransportSettings) {
    this.#settings = settings;
    this.#transport = transport;
    if (isManifest(settings.manifest)) this.#manifest = settings.manifest;
    this.#renewal = new Renewal(settings.refresh, (error) => {
      const why = error instanceof Error ? error.message : String(error);
      this.#progress.notice(`there are no new credentials: ${why}`, 'HW_TOKEN_EXPIRED');
    });
    this.#company = new Company({
      settings,
      transport,
      totals: this.#totals,
      renewal: this.#renewal,
      signal: this.#stop.signal,
      course: this,
      progress: () => this.#progress,
      heard: () => this.#choice.heard(),
      failed: (error) => this.#fail(error),
    });
    const { members, roll } = this.#company;
    this.#progress = new Progress(settings, members.all, this.#totals);
    this.#choice = new Choice({
      members,
      roll,
      digestKnown: () => this.#digestKnown,
      mayCome: () => this.#company.mayCome,
      throwIfOver: () => this.#throwIfOver(),
    });
    this.#vigil = new Vigil({
      settings,
      company: this.#company,
      totals: this.#totals,
      progress: this.#progress,
      attempt: () => this.attempt,
      lost: (error) => this.#fail(error),
      change: () => this.attempt?.stop(new Regroup()),
    });
  }

  async run(): Promise<DownloadReport> {
    const { signal } = this.#settings;
    const interrupt = (): void => this.#fail(new Interruption());
    if (signal?.aborted === true) interrupt();
    signal?.addEventListener('abort', interrupt);
    this.#vigil.begin();
    try {
      this.#throwIfOver();
      this.#company.begin();
      this.#manifest = await loadManifest(this.#settings, this.#transport, this.#stop.signal);
      this.#company.holdAgainst(this.known);
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
      this.#company.close();
    }
  }

  /** Tries groups of sources, the largest first, until one verifies. */
  async #download(): Promise<AttemptResult> {
    for (let failures = 1; ; failures++) {
      const group = await this.#choice.group();
      this.chosen = group;
      try {
        return group === undefined ? await this.#trySizeless() : await this.#try(group);
      } catch (error) {
        await this.#goOn(error, failures);
      } finally {
        this.attempt = undefined;
      }
    }
  }

  async #try(group: Group): Promise<AttemptResult> {
    const settings = this.#settings;
    const { members, roll } = this.#company;
    const offered = this.#manifest === undefined ? await this.#offeredManifest(group) : undefined;
    this.#throwIfOver();
    const manifest = this.#manifest ?? offered?.manifest;
    const sha256 = settings.sha256 ?? manifest?.sha256 ?? group.sha256;
    const candidates = members.in(group);
    const using = this.#vigil.pick(candidates);
    const [first] = using;
    if (first === undefined) throw new Regroup();
    this.#first ??= first.source;
    this.witnesses = this.#digestKnown ? [] : loneWitnesses(candidates, sha256, offered?.source);
    const { resume, carried } = inherited(this.#left, { size: group.size, sha256 }, settings);
    const attempt = new Attempt({
      settings: { ...settings, resume },
      size: group.size,
      first: this.#first,
      wholeFile: !first.introduction.ranges,
      manifest,
      sha256,
      vouched: sha256 !== undefined && this.witnesses.length === 0,
      carried,
      totals: this.#totals,
      progress: this.#progress,
      renew: (askedAt) => this.#renewal.renew(askedAt),
      onState: (source, change) => this.#company.hear(source, change),
      onBadChunk: (source, chunk, digest) => {
        const { spec } = members.of(source).given;
        settings.onBadChunk?.({ source: spec, chunk, sha256: digest });
      },
      expecting: () => !roll.heardAll,
    });
    this.attempt = attempt;
    // Who was heard of while the manifest was read is in no group yet.
    for (const late of members.candidates) if (!candidates.includes(late)) this.#company.reconsider(late);
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
    const { members } = this.#company;
    const member = members.sizeless;
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
        onState: (change) => this.#company.hear(member.source, change),
        signal: this.#stop.signal,
      }).run();
    } catch (error) {
      if (!(error instanceof HeadwaterError)) throw error;
      const wrong = error.code === 'HW_VERIFICATION' && typeof this.#settings.output !== 'object';
      if (wrong) members.ban(member, 'bad-bytes', error.message);
      else if (error instanceof SourceError) members.ban(member, error.fault.kind, error.message);
      else throw error;
      throw new Regroup(error);
    }
  }

  #offeredManifest(group: Group): ReturnType<typeof offeredManifest> {
    const wanted = { size: group.size, sha256: this.#settings.sha256 ?? group.sha256 };
    return offeredManifest(this.#company.members.in(group), wanted, this.#stop.signal, (message) =>
      this.#progress.notice(message),
    );
  }

  /** @throws what ends the download; otherwise there is something else to try */
  async #goOn(error: unknown, failures: number): Promise<void> {
    this.#throwIfOver();
    const { members, roll } = this.#company;
    if (error instanceof Regroup) {
      if (this.attempt?.begun === true) throw error.reason ?? members.nobodyLeft();
    } else if (error instanceof HeadwaterError && error.code === 'HW_VERIFICATION') {
      const tried = [...(this.attempt?.members ?? [])];
      // Who was not heard of yet may have the right bytes.
      while (!roll.heardAll && this.#fatal === undefined) await this.#choice.news();
      const others = members.candidates.filter(({ source }) => !tried.includes(source));
      if (others.length === 0 || this.attempt?.begun === true) throw error;
      for (const source of tried) {
        const message = `${source.shown} has other bytes than the digest is of`;
        members.ban(members.of(source), 'bad-bytes', message);
      }
    } else if (this.#partContradicts(error)) {
      for (const { source, introduction } of members.in(this.chosen ?? NOBODY)) {
        const sizes = `${introduction.size} bytes, and what is here of the file with that digest has another size`;
        members.ban(members.of(source), 'disagrees', `${source.shown} says ${sizes}`);
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

  get known(): Known {
    return { size: this.#manifest?.size, sha256: this.#manifest?.sha256 ?? this.#settings.sha256 };
  }

  get #digestKnown(): boolean {
    return this.known.sha256 !== undefined;
  }

  #throwIfOver(): void {
    if (this.#fatal !== undefined) throw this.#fatal;
  }

  #fail(error: unknown): void {
    if (this.#fatal !== undefined) return;
    this.#fatal = error;
    this.#stop.abort();
    this.attempt?.stop(error);
    this.#choice.heard();
  }
}
