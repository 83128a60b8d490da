import type { ByteRange } from '../core/ranges.ts';
import { fingerprint, randomBlocks } from './spot-check.ts';
import { SourceError } from './sources/fault.ts';
import type { Introduction, Source } from './sources/source.ts';

/** What came of holding the sources against each other. */
export interface Verdict {
  /** Sources that say something else than most. */
  readonly odd: readonly Source[];
  /** Not even a majority says the same. */
  readonly split: boolean;
}

/** Holds every source that joins against the others, on the same random blocks. */
export class CrossCheck {
  readonly #blocks: readonly ByteRange[];
  readonly #signal: AbortSignal;
  readonly #votes = new Map<Source, string>();
  readonly #asking = new Set<Promise<void>>();
  readonly #judge: (verdict: Verdict) => void;

  /** @param judge called when sources disagree, once all who were asked have answered */
  constructor(size: number, signal: AbortSignal, judge: (verdict: Verdict) => void) {
    this.#blocks = randomBlocks([{ start: 0, end: size }]);
    this.#signal = signal;
    this.#judge = judge;
  }

  join(source: Source, introduction: Introduction): void {
    const asking = this.#ask(source, introduction).finally(() => {
      this.#asking.delete(asking);
      if (this.#asking.size === 0) this.#count();
    });
    this.#asking.add(asking);
  }

  /** Resolves when everybody who joined has answered or failed to. */
  async settled(): Promise<void> {
    while (this.#asking.size > 0) await Promise.all(this.#asking);
  }

  heard(source: Source): boolean {
    return this.#votes.has(source);
  }

  async #ask(source: Source, introduction: Introduction): Promise<void> {
    try {
      this.#votes.set(source, await fingerprint(source, introduction, this.#blocks, this.#signal));
    } catch (error) {
      // Who cannot be asked now is not odd for that; what it gave is looked at in the end.
      if (!(error instanceof SourceError) && !this.#signal.aborted) throw error;
    }
  }

  #count(): void {
    const groups = new Map<string, Source[]>();
    for (const [source, vote] of this.#votes) groups.set(vote, [...(groups.get(vote) ?? []), source]);
    if (groups.size < 2 || this.#signal.aborted) return;
    const most = [...groups.values()].find((group) => group.length * 2 > this.#votes.size);
    const odd = [...this.#votes.keys()].filter((source) => most?.includes(source) !== true);
    if (most !== undefined) for (const source of odd) this.#votes.delete(source);
    this.#judge({ odd, split: most === undefined });
  }
}
