import { SEND_BYTES } from './limits.ts';

/** Buffers that chunks are read into, used again and again. */
export class Buffers {
  readonly #free: Buffer[] = [];

  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(SEND_BYTES);
  }

  /** Nothing reads from it, or writes to it, any more. */
  giveBack(buffers: readonly Buffer[]): void {
    this.#free.push(...buffers);
  }
}
