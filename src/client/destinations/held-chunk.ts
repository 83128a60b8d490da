import { webcrypto } from 'node:crypto';

/** A chunk that is held in memory until it is known to be right. */
export class HeldChunk {
  readonly bytes: Uint8Array<ArrayBuffer>;
  #filled = 0;

  constructor(bytes: Uint8Array<ArrayBuffer>) {
    this.bytes = bytes;
  }

  rest(): Uint8Array {
    return this.bytes.subarray(this.#filled);
  }

  received(length: number): void {
    this.#filled += length;
  }

  /** @param digest SHA-256 in hex; undefined: nothing is known, so everything is right */
  async matches(digest: string | undefined): Promise<boolean> {
    if (digest === undefined) return true;
    const found = await webcrypto.subtle.digest('SHA-256', this.bytes);
    return Buffer.from(found).toString('hex') === digest;
  }
}
