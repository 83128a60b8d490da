/**
 * Seconds for which a grant in a Metalink is good: programs that read Metalinks cannot renew it, and a large file over a
 * slow line takes hours. It can be revoked like any other.
 */
export const METALINK_GRANT = 86_400;
