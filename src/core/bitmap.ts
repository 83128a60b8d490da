/** A fixed number of bits, packed; which chunks are here, done or missing. */
export class Bitmap {
  readonly length: number;
  readonly bytes: Uint8Array;
  #count = 0;

  /** `bytes`, when given, is copied; bits past `length` in it are dropped. */
  constructor(length: number, bytes?: Uint8Array) {
    this.length = length;
    this.bytes = new Uint8Array(Math.ceil(length / 8));
    if (bytes === undefined) return;
    for (let i = 0; i < length; i++) if (((bytes[i >> 3] ?? 0) >> (i & 7)) & 1) this.add(i);
  }

  /** How many bits are set. */
  get count(): number {
    return this.#count;
  }

  has(index: number): boolean {
    return (((this.bytes[index >> 3] ?? 0) >> (index & 7)) & 1) === 1;
  }

  /** Sets the bit; true when it was clear. */
  add(index: number): boolean {
    if (index < 0 || index >= this.length || this.has(index)) return false;
    this.bytes[index >> 3] = (this.bytes[index >> 3] ?? 0) | (1 << (index & 7));
    this.#count++;
    return true;
  }

  /** Clears the bit; true when it was set. */
  delete(index: number): boolean {
    if (index < 0 || index >= this.length || !this.has(index)) return false;
    this.bytes[index >> 3] = (this.bytes[index >> 3] ?? 0) & ~(1 << (index & 7));
    this.#count--;
    return true;
  }
}

/** So many bits, all set. */
export function fullBitmap(length: number): Bitmap {
  return new Bitmap(length, new Uint8Array(Math.ceil(length / 8)).fill(0xff));
}
