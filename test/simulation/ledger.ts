import type { ChunkLayout } from '../../src/core/chunks.ts';
import type { Lane } from './lane.ts';

/**
 * Counts where every byte went, by the driver's own knowledge.
 *
 * Bytes lost to hedging are those of a chunk for which a hedge was asked, that came on a lane that did not win it
 * while another lane had, or still owed, that chunk: all bytes of a hedge that lost, was cancelled or broke off beside a
 * living rival; and what a rival had of the chunk when a hedge beat it. So are the bytes of any lane that was dropped
 * because another is thought to be faster. What a lane loses by its own fault or by its silence would have been lost
 * anyway and is counted as cut off.
 */
export class Ledger {
  /** Every body byte that came. */
  received = 0;
  hedging = 0;
  cutOff = 0;
  wrong = 0;
  /** Copies that were done and fetched anew after `reopen`. */
  replaced = 0;
  /** Bytes of chunks that are done, less what an earlier run left. */
  kept = 0;
  readonly #layout: ChunkLayout;
  /** Chunks for which a hedge was asked. */
  readonly #hedged = new Set<number>();
  /** Chunks that are in the file. */
  readonly #won = new Set<number>();

  constructor(layout: ChunkLayout) {
    this.#layout = layout;
  }

  get wasted(): number {
    return this.hedging + this.cutOff + this.wrong + this.replaced;
  }

  /** A hedge for `chunk` was asked. */
  hedge(chunk: number): void {
    this.#hedged.add(chunk);
  }

  /** A chunk became part of the file. */
  keep(chunk: number): void {
    this.kept += this.#layout.bytes(chunk);
    this.#won.add(chunk);
  }

  /** A right copy of `chunk` came second. */
  duplicate(chunk: number): void {
    this.hedging += this.#layout.bytes(chunk);
  }

  /** A copy with wrong bytes. */
  spoil(chunk: number): void {
    this.wrong += this.#layout.bytes(chunk);
  }

  /** A chunk that was done is missing again. */
  reopen(chunk: number): void {
    this.kept -= this.#layout.bytes(chunk);
    this.replaced += this.#layout.bytes(chunk);
    this.#won.delete(chunk);
    this.#hedged.delete(chunk);
  }

  /**
   * A lane ended within a chunk.
   *
   * @param rivals other lanes that have landed or still owe this chunk.
   */
  breakOff(lane: Lane, rivals: number): void {
    const bytes = lane.read - this.#layout.start(lane.chunk);
    if (bytes <= 0) return;
    const beaten = rivals > 0 || this.#won.has(lane.chunk);
    const hedgedInVain = lane.hedge && this.#hedged.has(lane.chunk) && beaten;
    if (lane.cancelled === 'lost' || hedgedInVain) this.hedging += bytes;
    else this.cutOff += bytes;
  }
}
