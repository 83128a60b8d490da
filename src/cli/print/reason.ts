import type { ErrorCode } from '../../core/errors.ts';

/** Why a source is away, in few words: for a column of a table. The full message is in the event. */
const WORDS: Partial<Record<ErrorCode, string>> = {
  HW_BAD_CHUNK: 'wrong bytes',
  HW_CONNECT: 'unreachable',
  HW_FILE_CHANGED: 'changed',
  HW_NO_RANGES: 'no ranges',
  HW_NOT_ALLOWED: 'not allowed',
  HW_NOT_FOUND: 'not found',
  HW_PROTOCOL: 'broken HTTP',
  HW_REDIRECT: 'redirects',
  HW_SILENT: 'silent',
  HW_SOURCE_CHANGED: 'changed',
  HW_SOURCES_DISAGREE: 'other file',
  HW_TLS: 'certificate',
  HW_UNAVAILABLE: 'unavailable',
};

export function shortReason(code: ErrorCode | undefined): string {
  return code === undefined ? '' : (WORDS[code] ?? code);
}
