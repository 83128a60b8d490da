/** Longest body of a route that takes a few short fields, bytes. */
export const SMALL_BODY = 16 * 1024;
