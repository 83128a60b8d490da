import type { ChunkLayout } from '../core/chunks.ts';
import { HeadwaterError } from '../core/errors.ts';
import type { Destination } from './destinations/destination.ts';
import { Examination } from './examination.ts';
import type { Patience } from './fetching.ts';
import { findLiars } from './liar-hunt.ts';
import type { Progress } from './progress.ts';
import type { Introduction, Source } from './sources/source.ts';
import { Tally } from './tally.ts';
import type { Totals } from './totals.ts';
import type { StateChange } from './transfer.ts';

/** What an attempt lends to those who doubt its sources. */
interface Options {
  readonly layout: ChunkLayout;
  readonly tally: Tally;
  readonly members: ReadonlyMap<Source, Introduction>;
  readonly totals: Totals;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  /** The attempt cannot go on. */
  readonly stop: (error: unknown) => void;
  readonly mayAsk: (source: Source) => boolean;
  readonly ban: (source: Source, change: StateChange) => void;
  /** Chunks that were done are missing again, and are not asked of `except`. */
  readonly reopen: (destination: Destination, chunks: readonly number[], except: Source) => Promise<void>;
  /** Fetches what is missing from these alone. */
  readonly fetch: (from: readonly Source[], patience: Patience) => Promise<boolean>;
  /** Digest of the whole as it is now. */
  readonly digest: () => Promise<string | undefined>;
}

/** How sources are held against each other before and while they are downloaded from. */
interface Caution {
  readonly askFirst: boolean;
  readonly expecting: () => boolean;
  readonly digestDecides: boolean;
}

/** Whose bytes are to be believed, and what becomes of those that are not. */
export class Doubts {
  readonly #options: Options;
  readonly #destination: Destination;
  /** Sources whose bytes are not to be believed. */
  readonly #disowned = new Set<Source>();
  readonly #reopening = new Set<Promise<void>>();
  /** Undefined where a digest that enough vouch for tells which bytes are right. */
  readonly examination: Examination | undefined;

  constructor(options: Options, destination: Destination, caution: Caution | undefined) {
    this.#options = options;
    this.#destination = destination;
    const { layout, signal, progress, tally, stop } = options;
    if (caution === undefined) return;
    this.examination = new Examination({
      ...caution,
      layout,
      signal,
      holdBack: (until) => destination.holdBack(until),
      disown: (source) => this.#disown(source),
      disownEarlier: async () => {
        progress.notice('what an earlier run had left is of another file; it is fetched again');
        const earlier = tally.chunksOf(Tally.earlier);
        tally.forget(earlier);
        await undone(destination, earlier);
      },
      failed: stop,
    });
  }

  /** A chunk has come; what was on its way into the file when its giver was found out goes again. */
  came(chunk: number, source: Source): void {
    if (this.#disowned.has(source)) this.#reopen([chunk], source);
  }

  /** Resolves when what was missing again is so for the book too. */
  async settled(): Promise<void> {
    await Promise.all(this.#reopening);
  }

  /** Drops a source whose bytes are not to be believed, and all that it gave. */
  #disown(source: Source): void {
    const { ban, tally } = this.#options;
    const message = `${source.shown} sends other bytes than most: it is not used`;
    this.#disowned.add(source);
    ban(source, { state: 'banned', fault: 'disagrees', message });
    this.#reopen(tally.chunksOf(source.id), source);
  }

  #reopen(chunks: readonly number[], source: Source): void {
    if (chunks.length === 0) return;
    const { tally, reopen, stop } = this.#options;
    tally.forget(chunks);
    const reopening = reopen(this.#destination, chunks, source)
      .catch(stop)
      .finally(() => this.#reopening.delete(reopening));
    this.#reopening.add(reopening);
  }

  /** The sources hold different files: what they gave is a mixture, which no later run could tell from a file. */
  async keepNothing(): Promise<void> {
    if (this.#destination.content === undefined) return;
    await Promise.allSettled(this.#reopening);
    const { tally } = this.#options;
    const given = [...tally.givers()].filter((giver) => giver !== Tally.earlier);
    await undone(
      this.#destination,
      given.flatMap((giver) => tally.chunksOf(giver)),
    );
  }

  /**
   * The digest of the whole is wrong: somebody lied.
   *
   * @throws HeadwaterError `HW_VERIFICATION` when nobody has the right bytes, or they cannot be fetched again
   */
  async hunt(sha256: string, found: string, again: boolean): Promise<void> {
    const { content, done } = this.#destination;
    if (content === undefined || !again) {
      throw new HeadwaterError('HW_VERIFICATION', `SHA-256 is ${found} where ${sha256} was expected`);
    }
    const { progress, totals, tally, members, mayAsk, fetch, digest } = this.#options;
    progress.notice('the whole does not match its SHA-256; looking for the source that sent wrong bytes');
    await findLiars({
      content,
      sha256,
      done,
      tally,
      waiting: (away) => {
        const names = away.map((source) => source.shown).join(', ');
        progress.notice(`nobody else has the right bytes; waiting for ${names}`, 'HW_SOURCES_LOST');
      },
      sources: () => [...members.keys()].filter(mayAsk),
      doubt: ({ id }) => totals.failures(id),
      reopen: (chunks) => undone(this.#destination, chunks),
      fetch,
      digest,
      named: (giver, chunks) => this.#name(giver, chunks),
    });
  }

  #name(giver: number, chunks: number): void {
    const { members, progress, totals, ban } = this.#options;
    const lies = `wrong bytes in ${chunks} ${chunks === 1 ? 'chunk' : 'chunks'}`;
    const liar = [...members.keys()].find(({ id }) => id === giver);
    if (liar === undefined) {
      progress.notice(`an earlier run had left ${lies}; they were fetched again`);
      return;
    }
    totals.accuse(giver, chunks);
    ban(liar, { state: 'banned', fault: 'bad-bytes', message: `${liar.shown} sent ${lies}` });
  }
}

/** Chunks are missing again while nothing is fetched. */
function undone(destination: Destination, chunks: readonly number[]): Promise<void> {
  return destination.sink({ allow: () => {}, stop: () => {} }).undone(chunks);
}
