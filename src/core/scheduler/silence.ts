import type { Lane } from './state.ts';

/** Milliseconds without a byte, after a source's usual gaps, before a lane is given up. */
const LEAST_SILENCE = 2_000;
/** The same before the head of an answer has come. */
const LEAST_HEAD_WAIT = 5_000;
/** However slow a source has been, milliseconds. */
const MOST_SILENCE = 30_000;
/** Under a rate limit a lane is listened to now and then. This part of its patience must have been spent listening, ... */
const LISTENED_PART = 0.05;
/** ... and the pauses between count this many times less than listening does, ... */
const PAUSE_WEIGHT = 5;
/** ... each of them up to this many milliseconds: after a long one (a slow disk, a laptop asleep) a source begins anew. */
export const MOST_PAUSE = 500;
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

/** Milliseconds for which we listened to the lane in vain. */
export function quietFor({ activeAt, heldAt, heldTime }: Lane, now: number): number {
  return Math.max(0, (heldAt ?? now) - activeAt - heldTime);
}

/** The lane's source has stopped sending, as far as we can tell. */
export function isSilent(lane: Lane, now: number): boolean {
  if (lane.heldAt !== undefined) return false;
  const most = patience(lane);
  const quiet = quietFor(lane, now);
  return quiet >= most || (quiet >= most * LISTENED_PART && quiet + lane.pauses / PAUSE_WEIGHT >= most);
}
