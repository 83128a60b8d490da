import type { ErrorCode } from '../errors.ts';
import type { FaultKind } from './types.ts';

/** What follows a fault. */
interface FaultRow {
  /** The error that a person is shown. */
  readonly code: ErrorCode;
  /**
   * How often in a row, without progress between, the source is asked again: `Infinity` for what may pass by itself,
   * 0 for what cannot.
   */
  readonly retries: number;
  /** False where the fault says nothing about the source's other connections. */
  readonly wholeSource: boolean;
}

/** The one table of what the scheduler does after a fault. When it asks again: see `backoff`. */
export const FAULTS: Readonly<Record<FaultKind, FaultRow>> = {
  connect: { code: 'HW_CONNECT', retries: Infinity, wholeSource: false },
  silent: { code: 'HW_SILENT', retries: Infinity, wholeSource: false },
  unavailable: { code: 'HW_UNAVAILABLE', retries: Infinity, wholeSource: false },
  protocol: { code: 'HW_PROTOCOL', retries: 2, wholeSource: true },
  'wrong-range': { code: 'HW_PROTOCOL', retries: 2, wholeSource: true },
  'not-found': { code: 'HW_NOT_FOUND', retries: 0, wholeSource: true },
  'not-allowed': { code: 'HW_NOT_ALLOWED', retries: 0, wholeSource: true },
  // Each time it was renewed in vain.
  expired: { code: 'HW_TOKEN_EXPIRED', retries: 3, wholeSource: true },
  revoked: { code: 'HW_GRANT_REVOKED', retries: 0, wholeSource: true },
  'not-here': { code: 'HW_NOT_HERE', retries: Infinity, wholeSource: false },
  withdrawn: { code: 'HW_UNAVAILABLE', retries: Infinity, wholeSource: true },
  'no-ranges': { code: 'HW_NO_RANGES', retries: 0, wholeSource: true },
  changed: { code: 'HW_SOURCE_CHANGED', retries: 0, wholeSource: true },
  redirect: { code: 'HW_REDIRECT', retries: 0, wholeSource: true },
  tls: { code: 'HW_TLS', retries: 0, wholeSource: true },
  disagrees: { code: 'HW_SOURCES_DISAGREE', retries: 0, wholeSource: true },
  'bad-bytes': { code: 'HW_BAD_CHUNK', retries: 0, wholeSource: true },
};

/** First wait before a source is asked again, milliseconds. Doubles with every fault that follows without progress. */
const FIRST_BACKOFF = 500;
/** Longest wait that we choose ourselves, milliseconds: a server that comes back is noticed within half a minute. */
const MOST_BACKOFF = 30_000;
/** Longest Retry-After that is believed, milliseconds: a day-long one would be the same as a ban. */
const MOST_RETRY_AFTER = 600_000;

/**
 * Milliseconds until a source is asked again after its `strikes`th fault in a row (from 1). Jittered over the upper
 * half, so that many clients of one server that comes back do not all knock at once.
 */
export function backoff(strikes: number, retryAfter: number | undefined, random: () => number): number {
  if (retryAfter !== undefined)
    return Math.min(Math.max(retryAfter, 0), MOST_RETRY_AFTER) + random() * FIRST_BACKOFF;
  const full = Math.min(FIRST_BACKOFF * 2 ** Math.min(strikes - 1, 16), MOST_BACKOFF);
  return full * (0.5 + random() / 2);
}
