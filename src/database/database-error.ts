import { HeadwaterError } from '../core/errors.ts';

/** SQLITE_FULL: the disk is full. PostgreSQL's class 53 100 says the same. */
const SQLITE_FULL = 13;
const POSTGRES_FULL = '53100';
/**
 * Classes of SQLSTATE that say the database cannot be used now: connection lost, undone for another transaction (40, a
 * deadlock), out of resources, shutting down.
 */
const AWAY = /^(08|40|53|57P|58)/;
const LOST = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOTFOUND',
  'ETIMEDOUT',
  'EPIPE',
  'EAI_AGAIN',
  'ENOENT',
]);

/** What a failed query means to a caller. What is a defect of ours stays as it is. */
export function databaseError(cause: unknown): unknown {
  if (cause instanceof HeadwaterError || !(cause instanceof Error)) return cause;
  const { code, errcode, message } = cause as Error & { code?: string; errcode?: number };
  if ((errcode !== undefined && (errcode & 0xff) === SQLITE_FULL) || code === POSTGRES_FULL) {
    const said = 'the disk of the database is full: nothing was changed; free some space and it goes on';
    return new HeadwaterError('HW_DISK_FULL', said, { cause });
  }
  const isAway =
    (code !== undefined && (AWAY.test(code) || LOST.has(code))) ||
    (code === 'ERR_SQLITE_ERROR' && [5, 6, 8, 10, 14].includes((errcode ?? 0) & 0xff)) ||
    /timeout exceeded when trying to connect|Connection terminated/.test(message);
  if (!isAway) return cause;
  const said = `the database cannot be used now (${message}); nothing was changed`;
  return new HeadwaterError('HW_DATABASE', said, { cause, details: { retryAfter: 1 } });
}
