/**
 * A ring of blocks in shared memory between the thread that reads a file and the one that digests its chunks. Both
 * block when the other is behind; neither copies.
 */

const RING_BLOCK_BYTES = 1024 * 1024;
const BLOCKS = 4;
const EMPTY = 0;
/** The reader gave up: nothing more comes. */
const BROKEN = -1;

export class BlockRing {
  readonly memory: SharedArrayBuffer;
  /** Per block: EMPTY, BROKEN, or how many bytes wait in it. */
  readonly #state: Int32Array;
  readonly #blocks: Uint8Array[];
  #next = 0;

  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(BLOCKS * (RING_BLOCK_BYTES + 4))) {
    this.memory = memory;
    this.#state = new Int32Array(memory, 0, BLOCKS);
    this.#blocks = Array.from(
      { length: BLOCKS },
      (_, index) => new Uint8Array(memory, BLOCKS * 4 + index * RING_BLOCK_BYTES, RING_BLOCK_BYTES),
    );
  }

  /** Makes an unused ring of it again; neither side may be at work. */
  reset(): void {
    this.#state.fill(EMPTY);
    this.#next = 0;
  }

  /** The reader's next block, once the other side is done with what was in it. */
  toFill(): Uint8Array {
    for (let state = this.#load(); state !== EMPTY; state = this.#load()) this.#wait(state);
    return this.#block();
  }

  /** Hands the block over with that many bytes in it. */
  filled(bytes: number): void {
    this.#set(bytes);
  }

  /** Tells the other side that nothing more comes. */
  breakOff(): void {
    this.toFill();
    this.#set(BROKEN);
  }

  /** What waits, or undefined after `breakOff`. */
  toEmpty(): Uint8Array | undefined {
    for (let state = this.#load(); state === EMPTY; state = this.#load()) this.#wait(state);
    const bytes = this.#load();
    return bytes === BROKEN ? undefined : this.#block().subarray(0, bytes);
  }

  emptied(): void {
    this.#set(EMPTY);
  }

  #block(): Uint8Array {
    const block = this.#blocks[this.#next];
    if (block === undefined) throw new RangeError(`ring block ${this.#next}`);
    return block;
  }

  #load(): number {
    return Atomics.load(this.#state, this.#next);
  }

  #wait(state: number): void {
    Atomics.wait(this.#state, this.#next, state);
  }

  #set(state: number): void {
    Atomics.store(this.#state, this.#next, state);
    Atomics.notify(this.#state, this.#next);
    this.#next = (this.#next + 1) % BLOCKS;
  }
}
