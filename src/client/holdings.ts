import type { Bitmap } from '../core/bitmap.ts';

/** Runs of chunks that are named; more say no more to a person. */
const MOST_RUNS = 5;

/** Chunks that are missing and that none of these sources holds. */
export function heldByNone(done: Bitmap, sources: readonly { readonly has: Bitmap | undefined }[]): number[] {
  if (sources.some(({ has }) => has === undefined)) return [];
  const chunks: number[] = [];
  for (let chunk = 0; chunk < done.length; chunk++) {
    if (!done.has(chunk) && !sources.some(({ has }) => has?.has(chunk) === true)) chunks.push(chunk);
  }
  return chunks;
}

/** Such as "3, 6–9 and others". @param chunks in order */
export function shownChunks(chunks: readonly number[]): string {
  const runs: { from: number; to: number }[] = [];
  for (const chunk of chunks) {
    const last = runs.at(-1);
    if (last?.to === chunk - 1) last.to = chunk;
    else runs.push({ from: chunk, to: chunk });
  }
  const shown = runs.slice(0, MOST_RUNS).map(({ from, to }) => (from === to ? `${from}` : `${from}–${to}`));
  return shown.join(', ') + (runs.length > MOST_RUNS ? ' and others' : '');
}
