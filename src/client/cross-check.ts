import type { ByteRange } from '../core/ranges.ts';
import { fingerprint, randomBlocks } from './spot-check.ts';
import { SourceError } from './sources/fault.ts';
import type { Introduction, Source } from './sources/source.ts';

/** What came of holding the sources against each other. */
export interface Verdict {
  /** Sources that say something else than most, and were not told of before. */
  readonly odd: readonly Source[];
  /** Not even a majority says the same; all of `odd` disagree. */
  readonly split: boolean;
}

interface Options {
  /** Bytes in the file. */
  readonly size: number;
  readonly signal: AbortSignal;
  /** Sources may still join: that nobody has a majority says nothing yet. */
  readonly expecting: () => boolean;
  /** Called when sources disagree. */
  readonly judge: (verdict: Verdict) => void;
  /** Something else broke. */
  readonly failed: (error: unknown) => void;
}

/** Holds every source that joins against the others, on the same random blocks. */
export class CrossCheck {
  readonly #options: Options;
  readonly #blocks: readonly ByteRange[];
  readonly #votes = new Map<Source, string>();
  readonly #odd = new Set<Source>();
  readonly #asking = new Map<Source, Promise<void>>();
  #over = false;

  constructor(options: Options) {
    this.#options = options;
    this.#blocks = randomBlocks([{ start: 0, end: options.size }]);
  }

  /**
   * Resolves when the source has answered or failed to.
   *
   * @param apart over a connection of its own, for a source that is being downloaded from
   */
  join(source: Source, introduction: Introduction, apart: boolean): Promise<void> {
    if (this.#over) return Promise.resolve();
    const asking = this.#ask(source, introduction, apart).then(
      () => {
        this.#asking.delete(source);
        this.#count(false);
      },
      (error: unknown) => this.#options.failed(error),
    );
    this.#asking.set(source, asking);
    return asking;
  }

  /** Resolves when those who are being asked have answered or failed to, or `most` milliseconds have gone by. */
  async settled(most: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, most);
    });
    await Promise.race([Promise.all(this.#asking.values()), late]);
    clearTimeout(timer);
  }

  /** Nobody joins any more, and who has not answered does not count. */
  close(): void {
    this.#over = true;
    this.#count(true);
  }

  /** It said what most say. */
  agrees(source: Source): boolean {
    return this.#votes.has(source) && !this.#odd.has(source);
  }

  async #ask(source: Source, introduction: Introduction, apart: boolean): Promise<void> {
    const { signal } = this.#options;
    const connection = apart ? source.spareConnection(source.target) : source.connection(0);
    try {
      this.#votes.set(source, await fingerprint(source, introduction, this.#blocks, signal, connection));
    } catch (error) {
      // Who cannot be asked now is not odd for that; what it gave is looked at in the end.
      if (!(error instanceof SourceError) && !signal.aborted) throw error;
    } finally {
      if (apart) connection.close();
    }
  }

  #count(final: boolean): void {
    const { signal, expecting, judge } = this.#options;
    const groups = new Map<string, Source[]>();
    for (const [source, vote] of this.#votes) groups.set(vote, [...(groups.get(vote) ?? []), source]);
    if (groups.size < 2 || signal.aborted || (this.#over && !final)) return;
    const pending = final ? 0 : this.#asking.size;
    const most = [...groups.values()].find((group) => group.length * 2 > this.#votes.size + pending);
    if (most === undefined) {
      if (final || (pending === 0 && !expecting())) judge({ odd: [...this.#votes.keys()], split: true });
      return;
    }
    const odd = [...this.#votes.keys()].filter((source) => !most.includes(source) && !this.#odd.has(source));
    for (const source of odd) this.#odd.add(source);
    if (odd.length > 0) judge({ odd, split: false });
  }
}
