import type { Has } from '../../core/api/common.ts';
import { Bitmap } from '../../core/bitmap.ts';

/** The bitmap of what a server says it has; null: all of it. Undefined: not ascending ranges within the file. */
export function bitmapOf(has: Has, chunks: number): Uint8Array | null | undefined {
  if (has === 'all') return null;
  const bitmap = new Bitmap(chunks);
  let least = 0;
  for (const [first, last] of has) {
    if (first < least || last < first || last >= chunks) return undefined;
    for (let chunk = first; chunk <= last; chunk++) bitmap.add(chunk);
    least = last + 1;
  }
  return bitmap.count === chunks ? null : bitmap.bytes;
}

/** Chunks of the earlier bitmap that the later one lacks, the first few of them. */
export function lostChunks(
  before: Uint8Array | null,
  after: Uint8Array | null,
  chunks: number,
  most: number,
): number[] {
  const lost: number[] = [];
  if (after === null) return lost;
  const had = (chunk: number): boolean => before === null || isSet(before, chunk);
  for (let chunk = 0; chunk < chunks && lost.length < most; chunk++) {
    if (had(chunk) && !isSet(after, chunk)) lost.push(chunk);
  }
  return lost;
}

function isSet(bytes: Uint8Array, bit: number): boolean {
  return (((bytes[bit >> 3] ?? 0) >> (bit & 7)) & 1) === 1;
}
