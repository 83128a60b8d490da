import type { ChunkLayout } from '../../core/chunks.ts';
import { SourceError } from './fault.ts';
import { probe } from './probe.ts';
import type { Introduction, Source } from './source.ts';
import { Vouched } from './vouched.ts';

/** Chunks in turn that a source does not hold although it was said to, before it is left to the download to find what it does. */
const MOST_MISSES = 3;

/**
 * Asks a source who it is, for a byte that it holds.
 *
 * @param layout the file's, where it is known; without it the file's first byte is asked for
 * @throws SourceError
 */
export async function introduction(
  source: Source,
  layout: ChunkLayout | undefined,
  signal: AbortSignal,
): Promise<Introduction> {
  if (layout === undefined) return probe(source, signal);
  for (let misses = 0; misses < MOST_MISSES; misses++) {
    const chunk = firstHeld(source, layout);
    if (chunk === undefined) break;
    try {
      return await probe(source, signal, layout.start(chunk));
    } catch (error) {
      if (!(error instanceof SourceError) || error.fault.kind !== 'not-here') throw error;
      source.lacks(chunk, layout);
    }
  }
  // Who says of a part that it is not here knows of ranges.
  return new Vouched(layout.size);
}

function firstHeld({ has }: Source, { count }: ChunkLayout): number | undefined {
  if (has === undefined || count === 0) return 0;
  for (let chunk = 0; chunk < count; chunk++) if (has.has(chunk)) return chunk;
  return undefined;
}
