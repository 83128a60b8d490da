import type { Has } from '../../core/api/common.ts';

/**
 * Which chunks a holding's bitmap says are held, as ranges.
 *
 * @param chunks least significant bit first; null: all
 * @param count number of chunks of the file
 */
export function hasOf(chunks: Uint8Array | null, count: number): Has {
  if (chunks === null) return 'all';
  const ranges: [number, number][] = [];
  let first: number | undefined;
  for (let index = 0; index <= count; index++) {
    const held = index < count && (((chunks[index >> 3] ?? 0) >> (index & 7)) & 1) === 1;
    if (held) first ??= index;
    else if (first !== undefined) {
      ranges.push([first, index - 1]);
      first = undefined;
    }
  }
  return ranges.length === 1 && ranges[0]?.[0] === 0 && ranges[0][1] === count - 1 ? 'all' : ranges;
}
