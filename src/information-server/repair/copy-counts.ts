/** Arithmetic on bitmaps of chunks, least significant bit first. */

/** Set bits of each byte. */
const ONES = Uint8Array.from({ length: 256 }, (_, byte) => byte.toString(2).replaceAll('0', '').length);

/**
 * How many of the bitmaps have each chunk.
 *
 * @param count number of chunks
 * @param bitmaps null: all of them
 */
export function countCopies(count: number, bitmaps: readonly (Uint8Array | null)[]): Uint8Array {
  const copies = new Uint8Array(count).fill(bitmaps.filter((each) => each === null).length);
  for (const bits of bitmaps) {
    if (bits === null) continue;
    for (let at = 0; at * 8 < count; at++) {
      for (let byte = bits[at] ?? 0, chunk = at * 8; byte !== 0 && chunk < count; byte >>= 1, chunk++) {
        copies[chunk] = (copies[chunk] ?? 0) + (byte & 1);
      }
    }
  }
  return copies;
}

/** The least and the most of them; 0 and 0 where there are none. */
export function rangeOf(copies: Uint8Array): { readonly least: number; readonly most: number } {
  let [least, most] = [copies[0] ?? 0, 0];
  for (const each of copies) {
    if (each < least) least = each;
    if (each > most) most = each;
  }
  return { least, most };
}

/** Number of set bits. */
export function countBits(bits: Uint8Array): number {
  let sum = 0;
  for (const byte of bits) sum += ONES[byte] ?? 0;
  return sum;
}

export function isSet(bits: Uint8Array | null, chunk: number): boolean {
  return bits === null || (((bits[chunk >> 3] ?? 0) >> (chunk & 7)) & 1) === 1;
}

export function setBit(bits: Uint8Array, chunk: number): void {
  bits[chunk >> 3] = (bits[chunk >> 3] ?? 0) | (1 << (chunk & 7));
}

/** All bits of so many chunks. */
export function allBits(count: number): Uint8Array {
  const bits = new Uint8Array(Math.ceil(count / 8)).fill(0xff);
  if (count % 8 !== 0) bits[bits.length - 1] = (1 << (count % 8)) - 1;
  return bits;
}

/** Those of the first that the second has not. */
export function without(bits: Uint8Array, others: Uint8Array): Uint8Array {
  return bits.map((byte, at) => byte & ~(others[at] ?? 0));
}

/** The numbers of the set bits, as ranges [first, last]. */
export function rangesOf(bits: Uint8Array): [number, number][] {
  const ranges: [number, number][] = [];
  for (let chunk = 0; chunk < bits.length * 8; chunk++) {
    if (!isSet(bits, chunk)) continue;
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === chunk - 1) last[1] = chunk;
    else ranges.push([chunk, chunk]);
  }
  return ranges;
}
