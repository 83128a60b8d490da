import { Writable } from 'node:stream';

import { ChunkLayout } from '../core/chunks.ts';
import { HeadwaterError } from '../core/errors.ts';
import { layoutOf, type Manifest } from '../core/manifest.ts';
import type { Destination } from './destinations/destination.ts';
import { FileDestination } from './destinations/file-destination.ts';
import { outputPath } from './destinations/output-path.ts';
import { StreamDestination } from './destinations/stream-destination.ts';
import { Examination } from './examination.ts';
import { Fetching } from './fetching.ts';
import { findLiars } from './liar-hunt.ts';
import type { Settings } from './options.ts';
import type { Figures, Progress } from './progress.ts';
import { SourceError } from './sources/fault.ts';
import { probe } from './sources/probe.ts';
import type { Introduction, Source } from './sources/source.ts';
import { Tally } from './tally.ts';
import type { Totals } from './totals.ts';
import type { StateChange } from './transfer.ts';
import type { Verification } from './types.ts';

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
  /** Most of the sources, or the caller, vouch for the digest or the manifest. */
  readonly vouched: boolean;
  /** Who gave the chunks that an earlier attempt of this download left. */
  readonly carried: Tally | undefined;
  readonly totals: Totals;
  readonly progress: Progress;
  readonly onState: (source: Source, change: StateChange) => void;
  /** Sources that were not heard of yet may still join. */
  readonly expecting: () => boolean;
}

export interface AttemptResult {
  readonly output: string;
  readonly size: number;
  readonly verified: Verification;
  readonly sha256: string | undefined;
  readonly tailFrom: number | undefined;
  readonly tally: Tally;
}

/** One try to get one file out of the sources that hold it. */
export class Attempt {
  readonly wholeFile: boolean;
  readonly tally: Tally;
  readonly #options: Options;
  readonly #layout: ChunkLayout;
  readonly #fetching: Fetching;
  readonly #members = new Map<Source, Introduction>();
  readonly #banned = new Set<Source>();
  /** Sources whose bytes are not to be believed. */
  readonly #disowned = new Set<Source>();
  readonly #reopening = new Set<Promise<void>>();
  readonly #stopping = new AbortController();
  /** Who joins later than this would have to be examined after all was fetched. */
  #joinable = true;
  #destination: Destination | undefined;
  #examination: Examination | undefined;
  #stopped: { readonly error: unknown } | undefined;
  /** The tally has what an earlier run left, too. */
  #counted = false;

  constructor(options: Options) {
    this.#options = options;
    const { manifest, size, settings, wholeFile, totals } = options;
    this.wholeFile = wholeFile;
    this.#layout = manifest === undefined ? new ChunkLayout(size) : layoutOf(manifest);
    this.tally = new Tally(this.#layout);
    this.#fetching = new Fetching({
      settings,
      layout: this.#layout,
      wholeFile,
      totals,
      follow: (source) => this.#follow(source),
      onState: (source, change) => this.#changed(source, change),
      onDone: (chunk, source) => {
        this.tally.gave(source.id, chunk);
        // What was on its way into the file when its giver was found out.
        if (this.#disowned.has(source)) this.#reopen([chunk], source);
      },
    });
  }

  get size(): number {
    return this.#options.size;
  }

  get members(): Iterable<Source> {
    return this.#members.keys();
  }

  /** Sources are being asked: silence now is theirs. */
  get asking(): boolean {
    return this.#fetching.running && !this.#fetching.holding;
  }

  /** Bytes that another run can go on from; undefined while that is not known. */
  get kept(): number | undefined {
    if (this.#options.settings.output instanceof Writable) return 0;
    return this.#counted ? this.tally.bytes : undefined;
  }

  /** It has written to the output, or may have. */
  get opened(): boolean {
    return this.#destination !== undefined;
  }

  /** Bytes have left that cannot be taken back. */
  get begun(): boolean {
    return this.#destination?.begun ?? false;
  }

  /** A source that holds the file too. */
  add(source: Source, introduction: Introduction): void {
    if (this.wholeFile || !this.#joinable || this.#stopped !== undefined) return;
    this.#members.set(source, introduction);
    this.#admit(source, introduction);
  }

  stop(error: unknown): void {
    if (this.#stopped !== undefined) return;
    this.#stopped = { error };
    this.#stopping.abort();
    this.#fetching.stop(error);
  }

  /** @throws HeadwaterError; what `stop` was called with */
  async run(members: ReadonlyMap<Source, Introduction>): Promise<AttemptResult> {
    const destination = await this.#open();
    this.#destination = destination;
    try {
      for (const [source, introduction] of members) this.#members.set(source, introduction);
      return await this.#download(destination);
    } catch (error) {
      const why = this.#stopped?.error ?? error;
      if (why instanceof HeadwaterError && why.code === 'HW_SOURCES_DISAGREE')
        await this.#keepNothing(destination);
      throw why;
    } finally {
      this.stop(new HeadwaterError('HW_INTERRUPTED', 'the attempt is over'));
      await Promise.allSettled(this.#reopening);
      await destination.close();
    }
  }

  /** The sources hold different files: what they gave is a mixture, which no later run could tell from a file. */
  async #keepNothing(destination: Destination): Promise<void> {
    if (destination.content === undefined) return;
    await Promise.allSettled(this.#reopening);
    const given = [...this.tally.givers()].filter((giver) => giver !== Tally.earlier);
    await undone(
      destination,
      given.flatMap((giver) => this.tally.chunksOf(giver)),
    );
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
    const { manifest, sha256, size, progress, carried } = this.#options;
    this.#throwIfStopped();
    await destination.prepare(this.#members, this.#stopping.signal);
    for (let chunk = 0; chunk < this.#layout.count; chunk++) {
      if (destination.done.has(chunk)) this.tally.gave(carried?.giver(chunk) ?? Tally.earlier, chunk);
    }
    this.#counted = true;
    const verified = manifest !== undefined ? 'chunks' : sha256 !== undefined ? 'sha256' : 'none';
    progress.start(
      {
        event: 'start',
        output: destination.output,
        size,
        chunkSize: this.#layout.chunkSize,
        chunks: this.#layout.count,
        resumedBytes: this.tally.bytesOf(Tally.earlier),
        verification: verified,
      },
      () => this.#figures(),
    );
    await this.#fetchAll(destination);
    const found = await this.#unlessStopped(destination.digest());
    if (found !== undefined && sha256 !== undefined && found !== sha256)
      await this.#hunt(destination, sha256, found);
    this.#throwIfStopped();
    await destination.finish();
    return {
      output: destination.output,
      size,
      verified,
      sha256: found === undefined ? sha256 : (sha256 ?? found),
      tailFrom: this.#fetching.tailFrom,
      tally: this.tally,
    };
  }

  /** Fetches what is missing, until it is all there and of sources that are to be believed. */
  async #fetchAll(destination: Destination): Promise<void> {
    const examination = this.#newExamination(destination);
    this.#examination = examination;
    if (examination !== undefined && this.#options.manifest !== undefined) {
      // Chunks that do not fit a manifest tell nothing before it is known whether most sources mean that file.
      for (const member of this.#members) void examination.admitted(...member);
      await this.#unlessStopped(examination.answered());
    }
    // Where each source is to be asked before it is downloaded from, they join one after another.
    const first = examination?.askFirst === true ? [] : [...this.#members];
    const fetched = this.#fetch(destination, first, 'endless');
    for (const member of this.#members) this.#admit(...member);
    await fetched;
    this.#joinable = false;
    await examination?.finish(destination.content, this.tally, this.#members);
    this.#throwIfStopped();
    await Promise.all(this.#reopening);
    while (!this.tally.complete) {
      const believed = [...this.#members].filter(([source]) => examination?.agrees(source) === true);
      if (!(await this.#fetch(destination, believed, 'until banned'))) {
        throw new HeadwaterError('HW_SOURCES_LOST', 'no source is left whose bytes are to be believed');
      }
      await Promise.all(this.#reopening);
    }
  }

  async #fetch(
    destination: Destination,
    members: Iterable<readonly [Source, Introduction]>,
    patience: 'endless' | 'until banned' | 'until away',
  ): Promise<boolean> {
    this.#throwIfStopped();
    const usable = [...members].filter(([source]) => !this.#banned.has(source));
    return this.#fetching.run(destination, usable, patience);
  }

  /** What `work` gives; a reader that takes nothing, or a digest far behind, holds nobody who has stopped us. */
  async #unlessStopped<T>(work: Promise<T>): Promise<T> {
    const { signal } = this.#stopping;
    const { promise: stopped, reject } = Promise.withResolvers<never>();
    const stop = (): void => reject(this.#stopped?.error);
    signal.addEventListener('abort', stop);
    if (signal.aborted) stop();
    try {
      return await Promise.race([work, stopped]);
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  #throwIfStopped(): void {
    if (this.#stopped !== undefined) throw this.#stopped.error;
  }

  #changed(source: Source, change: StateChange): void {
    if (change.state === 'banned') this.#banned.add(source);
    this.#options.onState(source, change);
  }

  async #follow(source: Source): Promise<void> {
    const { signal } = this.#stopping;
    try {
      await probe(source, signal);
    } catch (error) {
      // The source is asked where it was, refuses again and is given up.
      if (!(error instanceof SourceError) && !signal.aborted) this.stop(error);
    }
  }

  #newExamination(destination: Destination): Examination | undefined {
    const { vouched, settings, sha256, manifest, expecting, progress } = this.#options;
    if (vouched || this.wholeFile || this.#layout.size === 0) return undefined;
    return new Examination({
      layout: this.#layout,
      signal: this.#stopping.signal,
      // Where the caller has said how many connections there may be, there is none to spare.
      askFirst: settings.fixedConnections,
      expecting,
      digestDecides: sha256 !== undefined || manifest !== undefined,
      holdBack: (until) => destination.holdBack(until),
      disown: (source) => this.#disown(source),
      disownEarlier: async () => {
        progress.notice('what an earlier run had left is of another file; it is fetched again');
        const earlier = this.tally.chunksOf(Tally.earlier);
        this.tally.forget(earlier);
        await undone(destination, earlier);
      },
      failed: (error) => this.stop(error),
    });
  }

  #admit(source: Source, introduction: Introduction): void {
    const join = (): void => {
      if (!this.#banned.has(source)) this.#fetching.add(source, introduction);
    };
    const admitted = this.#examination?.admitted(source, introduction) ?? Promise.resolve();
    admitted.then(join, (error: unknown) => this.stop(error));
  }

  /** Drops a source whose bytes are not to be believed, and all that it gave. */
  #disown(source: Source): void {
    const message = `${source.shown} sends other bytes than most: it is not used`;
    this.#disowned.add(source);
    this.#changed(source, { state: 'banned', fault: 'disagrees', message });
    this.#fetching.ban(source, 'disagrees', message);
    this.#reopen(this.tally.chunksOf(source.id), source);
  }

  #reopen(chunks: readonly number[], source: Source): void {
    if (this.#destination === undefined || chunks.length === 0) return;
    this.tally.forget(chunks);
    const reopening = this.#fetching
      .reopen(this.#destination, chunks, source)
      .catch((error: unknown) => this.stop(error))
      .finally(() => this.#reopening.delete(reopening));
    this.#reopening.add(reopening);
  }

  /** The digest of the whole is wrong: somebody lied. */
  async #hunt(destination: Destination, sha256: string, found: string): Promise<void> {
    const { content } = destination;
    if (content === undefined || this.wholeFile || this.#options.manifest !== undefined) {
      throw new HeadwaterError('HW_VERIFICATION', `SHA-256 is ${found} where ${sha256} was expected`);
    }
    const { progress, totals } = this.#options;
    progress.notice('the whole does not match its SHA-256; looking for the source that sent wrong bytes');
    await findLiars({
      content,
      sha256,
      done: destination.done,
      tally: this.tally,
      waiting: (away) => {
        const names = away.map((source) => source.shown).join(', ');
        progress.notice(`nobody else has the right bytes; waiting for ${names}`, 'HW_SOURCES_LOST');
      },
      sources: () => [...this.#members.keys()].filter((source) => !this.#banned.has(source)),
      doubt: ({ id }) => totals.failures(id),
      reopen: (chunks) => undone(destination, chunks),
      fetch: (from, patience) => {
        const members = [...this.#members].filter(([source]) => from.includes(source));
        return this.#fetch(destination, members, patience);
      },
      digest: () => this.#unlessStopped(destination.digest()),
      named: (giver, chunks) => this.#name(giver, chunks),
    });
  }

  #name(giver: number, chunks: number): void {
    const lies = `wrong bytes in ${chunks} ${chunks === 1 ? 'chunk' : 'chunks'}`;
    const liar = [...this.#members.keys()].find(({ id }) => id === giver);
    if (liar === undefined) {
      this.#options.progress.notice(`an earlier run had left ${lies}; they were fetched again`);
      return;
    }
    this.#options.totals.accuse(giver, chunks);
    this.#changed(liar, { state: 'banned', fault: 'bad-bytes', message: `${liar.shown} sent ${lies}` });
  }

  #figures(): Figures {
    return { size: this.size, bytes: this.#fetching.bytes };
  }
}

/** Chunks are missing again while nothing is fetched. */
function undone(destination: Destination, chunks: readonly number[]): Promise<void> {
  return destination.sink({ allow: () => {}, stop: () => {} }).undone(chunks);
}
