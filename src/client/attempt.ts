import { Writable } from 'node:stream';

import { ChunkLayout } from '../core/chunks.ts';
import { HeadwaterError } from '../core/errors.ts';
import { layoutOf, type Manifest } from '../core/manifest.ts';
import type { Destination } from './destinations/destination.ts';
import type { AttemptResult } from './attempt-result.ts';
import { Doubts } from './doubts.ts';
import { Fetching } from './fetching.ts';
import { heldByNone } from './holdings.ts';
import { openDestination } from './open-destination.ts';
import type { Settings } from './options.ts';
import type { Figures, Progress } from './progress.ts';
import { SourceError } from './sources/fault.ts';
import { introduction } from './sources/introduction.ts';
import type { Introduction, Source } from './sources/source.ts';
import { Stop } from './stop.ts';
import { Tally } from './tally.ts';
import type { Totals } from './totals.ts';
import type { StateChange } from './transfer.ts';

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
  readonly renew: (askedAt: number) => Promise<boolean>;
  readonly onState: (source: Source, change: StateChange) => void;
  readonly onBadChunk: (source: Source, chunk: number, sha256: string) => void;
  /** Sources that were not heard of yet may still join. */
  readonly expecting: () => boolean;
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
  readonly #stop = new Stop();
  /** Who joins later than this would have to be examined after all was fetched. */
  #joinable = true;
  #destination: Destination | undefined;
  #doubts: Doubts | undefined;
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
      renew: options.renew,
      onBadChunk: (chunk, source) => {
        const sha256 = manifest?.chunks[chunk];
        if (sha256 !== undefined) options.onBadChunk(source, chunk, sha256);
      },
      onDone: (chunk, source) => {
        this.tally.gave(source.id, chunk);
        this.#doubts?.came(chunk, source);
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

  /** Nothing is under way although something is missing. */
  get idle(): boolean {
    return this.#fetching.idle;
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
    if (this.wholeFile || !this.#joinable || this.#stop.stopped) return;
    this.#members.set(source, introduction);
    this.#admit(source, introduction);
  }

  /** Asked nothing new until `recall`; one that is gone is cut off in what it sends. */
  withdraw(source: Source, message: string, gone: boolean): void {
    this.#fetching.withdraw(source, message, gone);
  }

  /** It may be asked again; false: it is none of those that are asked, and has to join. */
  recall(source: Source): boolean {
    this.#banned.delete(source);
    return this.#fetching.recall(source);
  }

  /** Not asked any more in this attempt. */
  drop(source: Source, message: string): void {
    this.#banned.add(source);
    this.#fetching.ban(source, 'withdrawn', message);
  }

  /** What the source holds has changed. */
  holdingChanged(source: Source): void {
    this.#fetching.holdingChanged(source);
  }

  /** Chunks that are missing and that none of these sources holds, once it is known what is missing. */
  heldByNone(sources: readonly Source[]): number[] {
    return this.#destination === undefined || !this.#counted
      ? []
      : heldByNone(this.#destination.done, sources);
  }

  /** Chunks in the file. */
  get chunks(): number {
    return this.#layout.count;
  }

  stop(error: unknown): void {
    if (this.#stop.stop(error)) this.#fetching.stop(error);
  }

  /** @throws HeadwaterError; what `stop` was called with */
  async run(members: ReadonlyMap<Source, Introduction>): Promise<AttemptResult> {
    const { settings, manifest, sha256, first } = this.#options;
    const wanted = { layout: this.#layout, manifest, sha256, first };
    const destination = await openDestination(settings, wanted);
    this.#destination = destination;
    const doubts = this.#newDoubts(destination);
    this.#doubts = doubts;
    try {
      for (const [source, introduction] of members) this.#members.set(source, introduction);
      return await this.#download(destination, doubts);
    } catch (error) {
      const why = this.#stop.instead(error);
      if (why instanceof HeadwaterError && why.code === 'HW_SOURCES_DISAGREE') await doubts.keepNothing();
      throw why;
    } finally {
      this.stop(new HeadwaterError('HW_INTERRUPTED', 'the attempt is over'));
      await doubts.settled();
      await destination.close();
    }
  }

  async #download(destination: Destination, doubts: Doubts): Promise<AttemptResult> {
    const { manifest, sha256, size, progress, carried } = this.#options;
    this.#stop.throwIfStopped();
    await destination.prepare(this.#members, this.#stop.signal);
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
    await this.#fetchAll(destination, doubts);
    const found = await this.#stop.unless(destination.digest());
    if (found !== undefined && sha256 !== undefined && found !== sha256)
      await doubts.hunt(sha256, found, !this.wholeFile && manifest === undefined);
    this.#stop.throwIfStopped();
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
  async #fetchAll(destination: Destination, doubts: Doubts): Promise<void> {
    const { examination } = doubts;
    if (examination !== undefined && this.#options.manifest !== undefined) {
      // Chunks that do not fit a manifest tell nothing before it is known whether most sources mean that file.
      for (const member of this.#members) void examination.admitted(...member);
      await this.#stop.unless(examination.answered());
    }
    // Where each source is to be asked before it is downloaded from, they join one after another.
    const first = examination?.askFirst === true ? [] : [...this.#members];
    const fetched = this.#fetch(destination, first, 'endless');
    for (const member of this.#members) this.#admit(...member);
    await fetched;
    this.#joinable = false;
    await examination?.finish(destination.content, this.tally, this.#members);
    this.#stop.throwIfStopped();
    await doubts.settled();
    while (!this.tally.complete) {
      const believed = [...this.#members].filter(([source]) => examination?.agrees(source) === true);
      if (!(await this.#fetch(destination, believed, 'until banned'))) {
        throw new HeadwaterError('HW_SOURCES_LOST', 'no source is left whose bytes are to be believed');
      }
      await doubts.settled();
    }
  }

  async #fetch(
    destination: Destination,
    members: Iterable<readonly [Source, Introduction]>,
    patience: 'endless' | 'until banned' | 'until away',
  ): Promise<boolean> {
    this.#stop.throwIfStopped();
    const usable = [...members].filter(([source]) => this.#mayAsk(source));
    return this.#fetching.run(destination, usable, patience);
  }

  #mayAsk(source: Source): boolean {
    return !this.#banned.has(source) && source.available;
  }

  #changed(source: Source, change: StateChange): void {
    if (change.state === 'banned') this.#banned.add(source);
    this.#options.onState(source, change);
  }

  async #follow(source: Source): Promise<void> {
    const { signal } = this.#stop;
    try {
      await introduction(source, this.#layout, signal);
    } catch (error) {
      // The source is asked where it was, refuses again and is given up.
      if (!(error instanceof SourceError) && !signal.aborted) this.stop(error);
    }
  }

  #newDoubts(destination: Destination): Doubts {
    const { vouched, settings, sha256, manifest, expecting, progress, totals } = this.#options;
    const sure = vouched || this.wholeFile || this.#layout.size === 0;
    return new Doubts(
      {
        layout: this.#layout,
        tally: this.tally,
        members: this.#members,
        totals,
        progress,
        signal: this.#stop.signal,
        stop: (error) => this.stop(error),
        mayAsk: (source) => this.#mayAsk(source),
        ban: (source, change) => {
          this.#changed(source, change);
          this.#fetching.ban(source, change.fault ?? 'disagrees', change.message ?? '');
        },
        reopen: (...what) => this.#fetching.reopen(...what),
        fetch: (from, patience) => {
          const members = [...this.#members].filter(([source]) => from.includes(source));
          return this.#fetch(destination, members, patience);
        },
        digest: () => this.#stop.unless(destination.digest()),
      },
      destination,
      // Where the caller has said how many connections there may be, there is none to spare.
      sure
        ? undefined
        : {
            askFirst: settings.fixedConnections,
            expecting,
            digestDecides: sha256 !== undefined || manifest !== undefined,
          },
    );
  }

  #admit(source: Source, introduction: Introduction): void {
    const join = (): void => {
      if (this.#mayAsk(source)) this.#fetching.add(source, introduction);
    };
    const admitted = this.#doubts?.examination?.admitted(source, introduction) ?? Promise.resolve();
    admitted.then(join, (error: unknown) => this.stop(error));
  }

  #figures(): Figures {
    return { size: this.size, bytes: this.#fetching.bytes };
  }
}
