import { HeadwaterError } from '../core/errors.ts';

/** SQLITE_FULL: the disk is full. PostgreSQL's class 53 100 says the same. */
const SQLITE_FULL = 13;
const POSTGRES_FULL = '53100';
/** SQLITE_BUSY, LOCKED, READONLY, IOERR, CANTOPEN, PROTOCOL (see WAL): pass, or want somebody to look at the disk. */
const SQLITE_AWAY = new Set([5, 6, 8, 10, 14, 15]);
/** SQLITE_CORRUPT, NOTADB. */
const SQLITE_BROKEN = new Set([11, 26]);
/**
 * Classes of SQLSTATE that say the database cannot be used now: connection lost, a transaction that ended (25P03: idle
 * for too long, as when the process was stopped in the middle), undone for another one (40, a deadlock), out of
 * resources, took too long (57014), shutting down or starting.
 */
const AWAY = /^(08|25P0|40|53|57P|57014|58)/;
/** The address or the account is wrong: 28 refused, 3D000 no such database. */
const REFUSED = /^(28|3D)/;
/** 22021: a text holds a character that PostgreSQL does not take: NUL. */
const NO_TEXT = '22021';
const LOST = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOTFOUND',
  'ETIMEDOUT',
  'EPIPE',
  'EAI_AGAIN',
  'ENOENT',
]);
LOST.add('EHOSTUNREACH').add('ENETUNREACH').add('ECONNABORTED');
/** What the client of PostgreSQL says without a code. */
const LOST_WORDS =
  /timeout exceeded when trying to connect|timeout expired|Connection terminated|Query read timeout|not queryable|server does not support SSL/;

/** What a failed query means to a caller. What is a defect of ours stays as it is. */
export function databaseError(cause: unknown): unknown {
  if (cause instanceof HeadwaterError || !(cause instanceof Error)) return cause;
  // Several addresses of one host were tried (RFC 8305): the first one speaks for all.
  if (cause instanceof AggregateError && cause.errors[0] instanceof Error)
    return databaseError(cause.errors[0]);
  const { code = '', errcode = 0, message } = cause as Error & { code?: string; errcode?: number };
  const sqlite = code === 'ERR_SQLITE_ERROR' ? errcode & 0xff : 0;
  if (sqlite === SQLITE_FULL || code === POSTGRES_FULL) {
    const said = 'the disk of the database is full: nothing was changed; free some space and it goes on';
    return new HeadwaterError('HW_DISK_FULL', said, { cause });
  }
  if (SQLITE_BROKEN.has(sqlite)) {
    const said = `the file is damaged or no database (${message}): bring back a backup`;
    return new HeadwaterError('HW_DATABASE', said, { cause });
  }
  if (REFUSED.test(code)) {
    return new HeadwaterError('HW_DATABASE', `the database refuses this program: ${message}`, { cause });
  }
  if (code === NO_TEXT)
    return new HeadwaterError('HW_USAGE', 'a text holds a character that cannot be stored', { cause });
  if (!AWAY.test(code) && !LOST.has(code) && !SQLITE_AWAY.has(sqlite) && !LOST_WORDS.test(message))
    return cause;
  const said = `the database cannot be used now (${message}); nothing was changed`;
  return new HeadwaterError('HW_DATABASE', said, { cause, details: { retryAfter: 1 } });
}

/** What it means that a commit failed: when the connection was lost meanwhile nobody can say whether it counted. */
export function commitError(cause: unknown): unknown {
  const error = databaseError(cause);
  if (!(error instanceof HeadwaterError) || error.code !== 'HW_DATABASE') return error;
  const { code = '' } = cause as { code?: string };
  if (code === 'ERR_SQLITE_ERROR' || AWAY.test(code)) return error;
  const said =
    'the database was lost at the very end of a change: look whether it was made before trying again';
  return new HeadwaterError('HW_DATABASE', said, { cause, details: error.details });
}
