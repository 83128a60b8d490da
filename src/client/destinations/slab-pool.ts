/** Bytes in a slab: large enough that a positioned write costs little, small enough that many sources share the budget. */
export const SLAB_BYTES = 1024 * 1024;

/** Reusable memory under one budget. Nothing is allocated before it is needed. */
export class SlabPool {
  readonly #free: Uint8Array[] = [];
  readonly #waiting: (() => void)[] = [];
  #left: number;

  /** @param memory bytes; rounded down to whole slabs */
  constructor(memory: number) {
    this.#left = Math.floor(memory / SLAB_BYTES);
  }

  /** A slab, or undefined when the budget is used up: then `wake` is called once when one is free. */
  take(wake: () => void): Uint8Array | undefined {
    const slab = this.#free.pop();
    if (slab !== undefined) return slab;
    if (this.#left > 0) {
      this.#left--;
      return Buffer.allocUnsafeSlow(SLAB_BYTES);
    }
    this.#waiting.push(wake);
    return undefined;
  }

  give(slab: Uint8Array): void {
    this.#free.push(slab);
    this.#waiting.shift()?.();
  }

  /** Who waited does so no more; its turn, used or not, is the next one's. */
  forget(wake: () => void): void {
    const at = this.#waiting.indexOf(wake);
    if (at >= 0) this.#waiting.splice(at, 1);
    else if (this.#free.length > 0) this.#waiting.shift()?.();
  }
}
