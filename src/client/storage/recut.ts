import { Bitmap } from '../../core/bitmap.ts';
import type { ChunkLayout } from '../../core/chunks.ts';

/** Chunks of one cut of a file, told in another: a chunk is there when every chunk it takes bytes from is there. */
export function recut(bits: Bitmap, from: ChunkLayout, to: ChunkLayout): Bitmap {
  const out = new Bitmap(to.count);
  for (let chunk = 0; chunk < to.count; chunk++) {
    let whole = true;
    const last = from.at(to.end(chunk) - 1);
    for (let i = from.at(to.start(chunk)); whole && i <= last; i++) whole = bits.has(i);
    if (whole) out.add(chunk);
  }
  return out;
}
