import type { Lane } from './state.ts';

/** Milliseconds without a byte, after a source's usual gaps, before a lane is given up. */
const LEAST_SILENCE = 2_000;
/** The same before the head of an answer has come. */
const LEAST_HEAD_WAIT = 5_000;
/** However slow a source has been, milliseconds. */
const MOST_SILENCE = 30_000;
/** Times the longest usual gap that counts as silence. */
const GAPS = 4;

/** How long this lane may bring nothing, milliseconds. Longer after each fault that its source had before it began. */
export function patience({ source, headAt, next, from, partial, strikes }: Lane): number {
  const begun = headAt !== undefined && (next > from || partial > 0);
  const usual = begun
    ? Math.max(LEAST_SILENCE, source.gap * GAPS)
    : Math.max(LEAST_HEAD_WAIT, source.mostWait * GAPS);
  return Math.min(usual * 2 ** Math.min(strikes, 8), MOST_SILENCE);
}
