import { BLOCK_BUDGET_BYTES, BLOCK_BYTES, IDLE_BLOCK_BYTES, LEAST_BLOCK_BYTES } from './limits.ts';

/**
 * Memory for blocks on their way from a file to a socket. Few answers get large blocks, many get small ones, so that
 * all of them together stay within one budget.
 */
export class BlockPool {
  readonly #idle = new Map<number, Buffer[]>();
  #idleBytes = 0;
  #users = 0;

  /** Announces one more answer; gives the size of the blocks it should take. `left` is what it has to send. */
  join(left: number): number {
    this.#users++;
    const fair = BLOCK_BUDGET_BYTES / (2 * this.#users);
    let size = BLOCK_BYTES;
    while (size > LEAST_BLOCK_BYTES && (size > fair || size / 2 >= left)) size /= 2;
    return size;
  }

  leave(): void {
    this.#users--;
  }

  take(size: number): Buffer {
    const block = this.#idle.get(size)?.pop();
    if (block === undefined) return Buffer.allocUnsafeSlow(size);
    this.#idleBytes -= size;
    return block;
  }

  /** Nothing may still read or write `block`. */
  give(block: Buffer): void {
    if (this.#idleBytes + block.length > IDLE_BLOCK_BYTES) return;
    const list = this.#idle.get(block.length);
    if (list === undefined) this.#idle.set(block.length, [block]);
    else list.push(block);
    this.#idleBytes += block.length;
  }
}
