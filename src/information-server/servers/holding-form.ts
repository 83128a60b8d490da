/**
 * How a holding's bitmap is in the database: as it is, or, where that is shorter, as the gaps between the chunks held. With
 * many servers each holds few chunks of each file, and there is a row for each of both: 10,000 files of 1 GiB on 100 servers
 * take 80 MB so, and 200 MB as bitmaps.
 */

/** Bits of a gap in one byte; the highest says that more follow. */
const GAP_BITS = 7;

/**
 * What is stored for a bitmap of chunks, least significant bit first; null: all. A form that is shorter than the bitmap is
 * the gaps: each the distance from the chunk before (the first: from -1), in groups of 7 bits, the lowest first.
 */
export function storedForm(bits: Uint8Array | null): Uint8Array | null {
  if (bits === null) return null;
  const gaps: number[] = [];
  let before = -1;
  for (let at = 0; at < bits.length; at++) {
    for (let byte = bits[at] ?? 0, chunk = at * 8; byte !== 0; byte >>= 1, chunk++) {
      if ((byte & 1) === 0) continue;
      let gap = chunk - before;
      before = chunk;
      for (; gap >> GAP_BITS !== 0; gap >>= GAP_BITS) gaps.push((gap & 0x7f) | 0x80);
      gaps.push(gap);
    }
    if (gaps.length >= bits.length) return bits;
  }
  return Uint8Array.from(gaps);
}

/**
 * The bitmap again.
 *
 * @param length bytes of the bitmap: an eighth of the chunks, rounded up
 */
export function bitmapFrom(stored: Uint8Array | null, length: number): Uint8Array | null {
  if (stored === null || stored.length >= length) return stored;
  const bits = new Uint8Array(length);
  let [chunk, gap, shift] = [-1, 0, 0];
  for (const byte of stored) {
    gap |= (byte & 0x7f) << shift;
    shift += GAP_BITS;
    if ((byte & 0x80) !== 0) continue;
    chunk += gap;
    if (chunk >> 3 < length) bits[chunk >> 3] = (bits[chunk >> 3] ?? 0) | (1 << (chunk & 7));
    [gap, shift] = [0, 0];
  }
  return bits;
}

/** The bitmap of so many chunks. */
export function bitmapOfCount(stored: Uint8Array | null, chunks: number): Uint8Array | null {
  return bitmapFrom(stored, Math.ceil(chunks / 8));
}
