import { setImmediate as turn } from 'node:timers/promises';

import { Bitmap } from '../../core/bitmap.ts';
import type { ChunkStore } from './chunk-store.ts';
import { CHECK_SLICE, STATS_AT_ONCE } from './limits.ts';

/**
 * Which of the chunks are here, in base64, least significant bit first. Each is looked up in the index and on the disk: a
 * commit relies on it. Those that are here are kept until then at least.
 */
export async function checkChunks(
  store: ChunkStore,
  digests: readonly string[],
  keepUntil: number,
): Promise<string> {
  const has = new Bitmap(digests.length);
  for (let from = 0; from < digests.length; from += CHECK_SLICE) {
    const slice = digests.slice(from, from + CHECK_SLICE);
    const known = store.keepKnown(slice, keepUntil);
    for (let at = 0; at < known.length; at += STATS_AT_ONCE) {
      const group = known.slice(at, at + STATS_AT_ONCE);
      const here = await Promise.all(group.map((index) => store.isOnDisk(slice[index] ?? '')));
      for (const [each, index] of group.entries()) if (here[each] === true) has.add(from + index);
    }
    await turn();
  }
  return Buffer.from(has.bytes).toString('base64');
}
