import { Writable } from 'node:stream';

import { ChunkLayout } from '../core/chunks.ts';
import { HeadwaterError } from '../core/errors.ts';
import { layoutOf, type Manifest } from '../core/manifest.ts';
import type { SourceView } from '../core/scheduler/types.ts';
import { CrossCheck, type Verdict } from './cross-check.ts';
import type { Destination } from './destinations/destination.ts';
import { FileDestination } from './destinations/file-destination.ts';
import { outputPath } from './destinations/output-path.ts';
import { StreamDestination } from './destinations/stream-destination.ts';
import { findLiars } from './liar-hunt.ts';
import type { Settings } from './options.ts';
import type { Figures, Progress } from './progress.ts';
import { SourceError } from './sources/fault.ts';
import { probe } from './sources/probe.ts';
import type { Introduction, Source } from './sources/source.ts';
import { heldAgainst } from './spot-check.ts';
import { Tally } from './tally.ts';
import { Transfer, type StateChange } from './transfer.ts';
import type { Verification } from './types.ts';

/** Part of the memory that one hedge may take up. */
const HEDGE_PART = 0.25;

interface Options {
  readonly settings: Settings;
  readonly size: number;
  /** Gives the output its name where the caller did not. */
  readonly first: Source;
  /** The only source answers no ranges. */
  readonly wholeFile: boolean;
  readonly manifest: Manifest | undefined;
  /** Digest of the whole that must come out. */
  readonly sha256: string | undefined;
  readonly progress: Progress;
  readonly onState: (source: Source, change: StateChange) => void;
}

export interface AttemptResult {
  readonly output: string;
  readonly size: number;
  readonly verified: Verification;
  readonly sha256: string | undefined;
  readonly resumedBytes: number;
  readonly wastedBytes: number;
  readonly tailFrom: number | undefined;
  readonly views: readonly SourceView[];
  readonly tally: Tally;
}

/** One try to get one file out of the sources that hold it. */
export class Attempt {
  readonly #options: Options;
  readonly #layout: ChunkLayout;
  readonly #tally: Tally;
  readonly #members = new Map<Source, Introduction>();
  readonly #stopping = new AbortController();
  #transfer: Transfer | undefined;
  #crossCheck: CrossCheck | undefined;
  #stopped: { readonly error: unknown } | undefined;
  /** Bytes that earlier transfers of this attempt received in vain. */
  #wasted = 0;
  /** All bytes are here: what takes time now is our own work. */
  settling = false;

  constructor(options: Options) {
    this.#options = options;
    const { manifest, size } = options;
    this.#layout = manifest === undefined ? new ChunkLayout(size) : layoutOf(manifest);
    this.#tally = new Tally(this.#layout);
  }

  get lastBytesAt(): number | undefined {
    return this.#transfer?.lastBytesAt;
  }

  /** A source that holds the file too. */
  add(source: Source, introduction: Introduction): void {
    if (this.#options.wholeFile || this.#stopped !== undefined) return;
    this.#members.set(source, introduction);
    this.#transfer?.add(source, introduction);
    this.#crossCheck?.join(source, introduction);
  }

  stop(error: unknown): void {
    if (this.#stopped !== undefined) return;
    this.#stopped = { error };
    this.#stopping.abort();
    this.#transfer?.stop(error);
  }

  /** @throws HeadwaterError; what `stop` was called with */
  async run(members: ReadonlyMap<Source, Introduction>): Promise<AttemptResult> {
    const destination = await this.#open();
    try {
      for (const [source, introduction] of members) this.#members.set(source, introduction);
      return await this.#download(destination);
    } catch (error) {
      throw this.#stopped?.error ?? error;
    } finally {
      this.stop(new HeadwaterError('HW_INTERRUPTED', 'the attempt is over'));
      await this.#transfer?.quiet();
      await destination.close();
    }
  }

  async #open(): Promise<Destination> {
    const { settings, manifest, sha256, first } = this.#options;
    const layout = this.#layout;
    const { output, memory, resume, force } = settings;
    // A manifest that a source offers is that source's word; the caller's own digest is checked all the same.
    const offered = settings.manifest === undefined;
    const whole =
      sha256 !== undefined && (manifest === undefined || (offered && settings.sha256 !== undefined));
    if (output instanceof Writable)
      return new StreamDestination({ stream: output, layout, manifest, whole, memory });
    const path = await outputPath(output, first);
    return FileDestination.open({ path, layout, manifest, sha256, whole, memory, resume, force });
  }

  async #download(destination: Destination): Promise<AttemptResult> {
    const { manifest, sha256, size, progress, wholeFile } = this.#options;
    await destination.prepare(this.#members, this.#stopping.signal);
    for (let chunk = 0; chunk < this.#layout.count; chunk++) {
      if (destination.done.has(chunk)) this.#tally.gave(Tally.earlier, chunk);
    }
    const resumedBytes = this.#tally.bytesOf(Tally.earlier);
    const verified = manifest !== undefined ? 'chunks' : sha256 !== undefined ? 'sha256' : 'none';
    const { chunkSize, count: chunks } = this.#layout;
    progress.start(
      {
        event: 'start',
        output: destination.output,
        size,
        chunkSize,
        chunks,
        resumedBytes,
        verification: verified,
      },
      () => this.#figures(),
    );
    if (verified === 'none' && !wholeFile && size > 0) {
      this.#crossCheck = new CrossCheck(size, this.#stopping.signal, (verdict) => this.#judge(verdict));
      for (const [source, introduction] of this.#members) this.#crossCheck.join(source, introduction);
    }
    await this.#fetch(destination, [...this.#members.keys()]);
    await this.#finishCrossCheck(destination);
    const tailFrom = this.#transfer?.tailFrom;
    this.settling = true;
    const found = await destination.digest();
    if (found !== undefined && sha256 !== undefined && found !== sha256)
      await this.#hunt(destination, sha256, found);
    if (this.#stopped !== undefined) throw this.#stopped.error;
    await destination.finish();
    return {
      output: destination.output,
      size,
      verified,
      sha256: found === undefined ? sha256 : (sha256 ?? found),
      resumedBytes,
      wastedBytes: this.#wasted + (this.#transfer?.wastedBytes ?? 0),
      tailFrom,
      views: this.#transfer?.views() ?? [],
      tally: this.#tally,
    };
  }

  /** Fetches what is missing from `sources`. */
  async #fetch(destination: Destination, sources: readonly Source[]): Promise<void> {
    if (this.#stopped !== undefined) throw this.#stopped.error;
    const { settings, onState, wholeFile } = this.#options;
    this.#wasted += this.#transfer?.wastedBytes ?? 0;
    const transfer = new Transfer(
      {
        layout: this.#layout,
        done: destination.done,
        mostConnections: settings.mostConnections,
        fixedConnections: settings.fixedConnections,
        limit: settings.limit,
        mostHedge: settings.memory * HEDGE_PART,
        wholeFile,
        follow: (source) => this.#follow(source),
        onState,
        onDone: (chunk, source) => this.#tally.gave(source.id, chunk),
      },
      (filler) => destination.sink(filler),
    );
    this.#transfer = transfer;
    for (const source of sources) {
      const introduction = this.#members.get(source);
      if (introduction !== undefined) transfer.add(source, introduction);
    }
    transfer.ask();
    try {
      await transfer.ended;
    } finally {
      await transfer.quiet();
    }
  }

  #follow(source: Source): void {
    // When it fails, the source is asked where it was, refuses again and is given up.
    probe(source, this.#stopping.signal).catch((error: unknown) => {
      if (!(error instanceof SourceError) && !this.#stopping.signal.aborted) this.stop(error);
    });
  }

  #judge({ odd, split }: Verdict): void {
    if (split) {
      const who = odd.map((source) => source.shown).join(', ');
      return this.stop(
        new HeadwaterError(
          'HW_SOURCES_DISAGREE',
          `the sources send different bytes, and no majority says which are right (${who}); --sha256 or --manifest decides`,
        ),
      );
    }
    for (const source of odd) this.#disown(source).catch((error: unknown) => this.stop(error));
  }

  /** Drops a source whose bytes are not to be believed, and all that it gave. */
  async #disown(source: Source): Promise<void> {
    this.#transfer?.ban(source, 'disagrees', `${source.shown} sends other bytes than most: it is not used`);
    await this.#transfer?.reopen(this.#tally.chunksOf(source.id), source);
  }

  /** What was given by sources that could not be asked again is held against the others. */
  async #finishCrossCheck(destination: Destination): Promise<void> {
    const check = this.#crossCheck;
    if (check === undefined) return;
    await check.settled();
    const { content } = destination;
    if (content === undefined) return;
    for (const [source] of this.#members) {
      const given = this.#tally.chunksOf(source.id);
      if (given.length === 0 || check.heard(source)) continue;
      const others = [...this.#members].filter(([other]) => other !== source && check.heard(other));
      if (await heldAgainst(content, this.#layout, given, others, this.#stopping.signal)) continue;
      await this.#disown(source);
    }
    if (destination.done.count < this.#layout.count) {
      await this.#fetch(
        destination,
        [...this.#members.keys()].filter((source) => check.heard(source)),
      );
    }
  }

  /** The digest of the whole is wrong: somebody lied. */
  async #hunt(destination: Destination, sha256: string, found: string): Promise<void> {
    const { content } = destination;
    if (content === undefined || this.#options.wholeFile || this.#options.manifest !== undefined) {
      throw new HeadwaterError('HW_VERIFICATION', `SHA-256 is ${found} where ${sha256} was expected`);
    }
    this.#options.progress.notice(
      'the whole does not match its SHA-256; looking for the source that sent wrong bytes',
    );
    this.settling = false;
    await findLiars({
      content,
      sha256,
      tally: this.#tally,
      sources: [...this.#members.keys()],
      doubt: (source) => this.#transfer?.views().find((view) => view.source === source.id)?.failures ?? 0,
      reopen: async (chunks) => {
        await destination.sink({ allow: () => {}, stop: (error) => this.stop(error) }).undone(chunks);
      },
      fetch: (from) => this.#fetch(destination, from),
      digest: () => destination.digest(),
      banned: (source, message) =>
        this.#options.onState(source, { state: 'banned', fault: 'bad-bytes', message }),
    });
  }

  #figures(): Figures {
    const transfer = this.#transfer;
    const received = transfer?.received ?? new Map<number, number>();
    let bytes = this.#tally.bytesOf(Tally.earlier);
    for (const each of received.values()) bytes += each;
    const { size } = this.#options;
    const wasted = this.#wasted + (transfer?.wastedBytes ?? 0);
    return {
      size,
      bytes: Math.min(size, Math.max(0, bytes - wasted)),
      views: transfer?.views() ?? [],
      received,
    };
  }
}
