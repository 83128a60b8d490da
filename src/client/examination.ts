import type { ChunkLayout } from '../core/chunks.ts';
import { HeadwaterError } from '../core/errors.ts';
import { CrossCheck, type Verdict } from './cross-check.ts';
import type { Content } from './destinations/destination.ts';
import type { Introduction, Source } from './sources/source.ts';
import { heldAgainst } from './spot-check.ts';
import { Tally } from './tally.ts';

/** Milliseconds that what cannot be taken back is held back for an answer, and that a finished download waits for one. */
const GRACE = 2_000;

interface Options {
  readonly layout: ChunkLayout;
  readonly signal: AbortSignal;
  /** A source is asked before it is downloaded from, over the connection that the download will use. */
  readonly askFirst: boolean;
  /** Sources that were not heard of yet may still join. */
  readonly expecting: () => boolean;
  /** A digest that some source states decides where there is no majority. */
  readonly digestDecides: boolean;
  /** Nothing leaves for good before this has resolved. */
  readonly holdBack: (until: Promise<void>) => void;
  /** The source says something else than most. */
  readonly disown: (source: Source) => void;
  /** What an earlier run had left is of another file. */
  readonly disownEarlier: () => Promise<void>;
  /** Nothing can go on. */
  readonly failed: (error: unknown) => void;
}

/** Holds sources against each other, where nothing else tells whether they hold the right file. */
export class Examination {
  readonly #options: Options;
  readonly #check: CrossCheck;
  readonly #asked = new Map<Source, Promise<void>>();
  #anyOdd = false;

  constructor(options: Options) {
    this.#options = options;
    this.#check = new CrossCheck({
      size: options.layout.size,
      signal: options.signal,
      expecting: options.expecting,
      judge: (verdict) => this.#judge(verdict),
      failed: options.failed,
    });
  }

  /** A source is asked before it is downloaded from. */
  get askFirst(): boolean {
    return this.#options.askFirst;
  }

  /** Asks the source; resolves when it may be downloaded from. */
  admitted(source: Source, introduction: Introduction): Promise<void> {
    const { askFirst } = this.#options;
    const asked = this.#asked.get(source) ?? this.#ask(source, introduction);
    return askFirst ? asked : Promise.resolve();
  }

  #ask(source: Source, introduction: Introduction): Promise<void> {
    const { askFirst, holdBack } = this.#options;
    const asked = this.#check.join(source, introduction, !askFirst);
    this.#asked.set(source, asked);
    holdBack(inTime(asked));
    return asked;
  }

  /** Resolves when those who were asked so far have answered, or have had time enough. */
  answered(): Promise<void> {
    return this.#check.settled(GRACE);
  }

  /** It says what most say. */
  agrees(source: Source): boolean {
    return this.#check.agrees(source);
  }

  /** All is here. What was given by sources that could not be asked is held against the others. */
  async finish(
    content: Content | undefined,
    tally: Tally,
    members: ReadonlyMap<Source, Introduction>,
  ): Promise<void> {
    const { disown, disownEarlier } = this.#options;
    await this.#check.settled(GRACE);
    this.#check.close();
    if (content === undefined) return;
    const others = [...members].filter(([source]) => this.agrees(source));
    for (const [source] of members) {
      if (this.agrees(source)) continue;
      if (await this.#differ(content, tally.chunksOf(source.id), others)) {
        this.#anyOdd = true;
        disown(source);
      }
    }
    // Who vouched for what an earlier run had left may be among those that are not believed any more.
    if (this.#anyOdd && (await this.#differ(content, tally.chunksOf(Tally.earlier), others)))
      await disownEarlier();
  }

  /** Some other source sends other bytes for these chunks than those that are here. */
  async #differ(
    content: Content,
    chunks: readonly number[],
    others: readonly (readonly [Source, Introduction])[],
  ): Promise<boolean> {
    const { layout, signal } = this.#options;
    if (chunks.length === 0 || signal.aborted) return false;
    return (await heldAgainst(content, layout, chunks, others, signal)) === false;
  }

  #judge({ odd, split }: Verdict): void {
    const { disown, failed, digestDecides } = this.#options;
    if (!split) {
      this.#anyOdd = true;
      for (const source of odd) disown(source);
    } else if (!digestDecides) {
      const who = odd.map((source) => source.shown).join(', ');
      failed(
        new HeadwaterError(
          'HW_SOURCES_DISAGREE',
          `the sources send different bytes, and no majority says which are right (${who}); --sha256 or --manifest decides`,
        ),
      );
    }
  }
}

/** Resolves when `work` has, or when it has had time enough. */
function inTime(work: Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, GRACE);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
