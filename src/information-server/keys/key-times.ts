import type { Context } from '../context.ts';
import { METALINK_GRANT } from '../grants/grant-times.ts';
import type { RotationTimes } from './key-store.ts';

/** Seconds for which the published keys may be kept without asking again. */
export const JWKS_MAX_AGE = 60;
/** Seconds between the publication of a key and its first signature: twice what anyone keeps the old list for. */
const KEY_NOTICE = 120;
/** Seconds that a key is trusted for beyond its last grant: clocks of file servers differ. */
const CLOCK_MARGIN = 600;

export function rotationTimes({ settings }: Context): RotationTimes {
  const longest = Math.max(settings.times.grant, METALINK_GRANT) + CLOCK_MARGIN;
  return { notice: KEY_NOTICE * 1000, longestGrant: longest * 1000 };
}
