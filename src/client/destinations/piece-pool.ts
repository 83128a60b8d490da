/** Bytes in a block: reads and positioned writes of this size take a fifth less CPU than of 256 KiB; more gains nothing. */
export const BLOCK_BYTES = 1024 * 1024;
/** Smallest piece that is lent: below it a byte costs more and more. */
const LEAST_PIECE = 16 * 1024;
/** Part of the memory that lanes may hold while they wait for bytes; the rest is for what is being written. */
const RECEIVING_PART = 0.5;
/** Part of the memory that chunks which are held whole may take up: they must never leave nothing for the others. */
const WHOLE_PART = 0.5;

/** A block that is lent in pieces, and those of them that are not lent now. */
interface Cut {
  readonly block: Uint8Array;
  readonly pieceBytes: number;
  readonly free: Uint8Array[];
}

/**
 * Reusable memory under one budget. Nothing is allocated before it is needed. The more lanes there are, the smaller the
 * pieces that each gets, so that a few slow ones cannot hold everything while the fast wait.
 */
export class PiecePool {
  /** Lanes that are receiving; whoever takes pieces counts himself in and out. */
  receiving = 0;
  readonly #bytes: number;
  /** Blocks that may still be allocated. */
  #left: number;
  readonly #blocks: Uint8Array[] = [];
  /** Every block that is cut now, by its memory. */
  readonly #cuts = new Map<ArrayBufferLike, Cut>();
  /** Those that have a piece to lend. */
  readonly #open = new Set<Cut>();
  readonly #waiting: ((piece: Uint8Array) => void)[] = [];
  /** Blocks that are lent for whole chunks, the most that may be, and who waits for how many. */
  #whole = 0;
  readonly #mostWhole: number;
  readonly #waitingWhole: { readonly blocks: number; readonly grant: (blocks: Uint8Array[]) => void }[] = [];

  /** @param memory bytes; rounded down to whole blocks */
  constructor(memory: number) {
    this.#left = Math.floor(memory / BLOCK_BYTES);
    this.#bytes = this.#left * BLOCK_BYTES;
    this.#mostWhole = Math.floor(this.#left * WHOLE_PART);
  }

  /** Longest chunk that can be held whole, bytes. */
  get longestWhole(): number {
    return this.#mostWhole * BLOCK_BYTES;
  }

  /** A piece, or undefined when the budget is used up: then `grant` is called with one as soon as there is one. */
  take(grant: (piece: Uint8Array) => void): Uint8Array | undefined {
    const piece = this.#piece();
    if (piece === undefined) this.#waiting.push(grant);
    return piece;
  }

  give(piece: Uint8Array): void {
    this.#takeBack(piece);
    this.#serve();
  }

  /** Blocks for `bytes` bytes, all or none, since who waits with a part in hand keeps others waiting. */
  takeWhole(bytes: number, grant: (blocks: Uint8Array[]) => void): Uint8Array[] | undefined {
    const blocks = Math.ceil(bytes / BLOCK_BYTES);
    if (this.#fits(blocks)) return this.#lendWhole(blocks);
    this.#waitingWhole.push({ blocks, grant });
    return undefined;
  }

  giveWhole(blocks: readonly Uint8Array[]): void {
    this.#whole -= blocks.length;
    for (const block of blocks) this.#takeBack(block);
    this.#serve();
  }

  /** Who waited does so no more. */
  forget(grant: (piece: Uint8Array) => void): void {
    const at = this.#waiting.indexOf(grant);
    if (at >= 0) this.#waiting.splice(at, 1);
  }

  /** The same after `takeWhole`. */
  forgetWhole(grant: (blocks: Uint8Array[]) => void): void {
    const at = this.#waitingWhole.findIndex((each) => each.grant === grant);
    if (at >= 0) this.#waitingWhole.splice(at, 1);
  }

  #takeBack(piece: Uint8Array): void {
    const cut = this.#cuts.get(piece.buffer);
    if (cut === undefined) {
      this.#blocks.push(piece);
      return;
    }
    cut.free.push(piece);
    if (cut.free.length * cut.pieceBytes < BLOCK_BYTES) {
      this.#open.add(cut);
    } else {
      this.#open.delete(cut);
      this.#cuts.delete(piece.buffer);
      this.#blocks.push(cut.block);
    }
  }

  /** In the order they came; lanes before whole chunks, which are only there to save time. */
  #serve(): void {
    while (this.#waiting.length > 0) {
      const piece = this.#piece();
      if (piece === undefined) return;
      this.#waiting.shift()?.(piece);
    }
    for (;;) {
      const [next] = this.#waitingWhole;
      if (next === undefined || !this.#fits(next.blocks)) return;
      this.#waitingWhole.shift();
      next.grant(this.#lendWhole(next.blocks));
    }
  }

  #lendWhole(blocks: number): Uint8Array[] {
    this.#whole += blocks;
    return Array.from({ length: blocks }, () => this.#block() ?? new Uint8Array(BLOCK_BYTES));
  }

  #fits(blocks: number): boolean {
    return this.#whole + blocks <= this.#mostWhole && this.#blocks.length + this.#left >= blocks;
  }

  /** What each lane can have at once, with enough left over for what is being written. */
  #pieceBytes(): number {
    let bytes = BLOCK_BYTES;
    while (bytes > LEAST_PIECE && bytes * this.receiving > this.#bytes * RECEIVING_PART) bytes /= 2;
    return bytes;
  }

  #piece(): Uint8Array | undefined {
    const pieceBytes = this.#pieceBytes();
    for (const cut of this.#open) if (cut.pieceBytes === pieceBytes) return this.#pieceOf(cut);
    const block = this.#block();
    if (block === undefined) {
      // Another size is better than none.
      const [cut] = this.#open;
      return cut === undefined ? undefined : this.#pieceOf(cut);
    }
    if (pieceBytes === BLOCK_BYTES) return block;
    const free: Uint8Array[] = [];
    for (let at = 0; at < BLOCK_BYTES; at += pieceBytes) free.push(block.subarray(at, at + pieceBytes));
    const cut = { block, pieceBytes, free };
    this.#cuts.set(block.buffer, cut);
    this.#open.add(cut);
    return this.#pieceOf(cut);
  }

  #pieceOf(cut: Cut): Uint8Array | undefined {
    const piece = cut.free.pop();
    if (cut.free.length === 0) this.#open.delete(cut);
    return piece;
  }

  #block(): Uint8Array | undefined {
    const block = this.#blocks.pop();
    if (block !== undefined || this.#left === 0) return block;
    this.#left--;
    return Buffer.allocUnsafeSlow(BLOCK_BYTES);
  }
}
