/** Conditional requests (RFC 9110, section 13) as a pure function of the request's fields and the file's state. */

import { parseHttpDate } from './http-date.ts';

export interface Validators {
  /** Strong entity tag with its quotes. */
  readonly etag: string;
  /** Milliseconds, cut to whole seconds; undefined where no Last-Modified is sent. */
  readonly lastModified: number | undefined;
}

/** The fields that matter, as they were sent. */
export interface ConditionFields {
  readonly 'if-match'?: string | undefined;
  readonly 'if-unmodified-since'?: string | undefined;
  readonly 'if-none-match'?: string | undefined;
  readonly 'if-modified-since'?: string | undefined;
  readonly 'if-range'?: string | string[] | undefined;
}

/** `go` on, or answer with that status. In the order of section 13.2.2. */
export function evaluateConditions(fields: ConditionFields, is: Validators, now: number): 'go' | 304 | 412 {
  const ifMatch = fields['if-match'];
  if (ifMatch !== undefined) {
    if (!listHolds(ifMatch, is.etag, 'strong')) return 412;
  } else if (fields['if-unmodified-since'] !== undefined && is.lastModified !== undefined) {
    const date = parseHttpDate(fields['if-unmodified-since'], now);
    if (date !== undefined && is.lastModified > date) return 412;
  }
  const ifNoneMatch = fields['if-none-match'];
  if (ifNoneMatch !== undefined) return listHolds(ifNoneMatch, is.etag, 'weak') ? 304 : 'go';
  if (fields['if-modified-since'] !== undefined && is.lastModified !== undefined) {
    const date = parseHttpDate(fields['if-modified-since'], now);
    if (date !== undefined && is.lastModified <= date) return 304;
  }
  return 'go';
}

/**
 * Whether a Range field may be followed (section 13.1.5): true without If-Range, otherwise only when its validator is
 * the current one, compared strongly. A date counts because Last-Modified is never sent while the file could still
 * change within the same second.
 */
export function rangeApplies(fields: ConditionFields, is: Validators, now: number): boolean {
  const field = fields['if-range'];
  if (field === undefined) return true;
  if (typeof field !== 'string') return false;
  if (field.startsWith('"') || field.startsWith('W/')) return field === is.etag;
  const date = parseHttpDate(field, now);
  return date !== undefined && date === is.lastModified;
}

/** What follows from a file's own time: undefined for one too young, or in the future (section 8.8.2.1). */
export function lastModifiedOf(modified: number, now: number): number | undefined {
  const second = Math.floor(modified / 1000) * 1000;
  return now >= second + 2000 ? second : undefined;
}

const TAG = /^(W\/)?"[\x21\x23-\x7e\x80-\xff]*"$/;

function listHolds(field: string, etag: string, comparison: 'strong' | 'weak'): boolean {
  if (field.trim() === '*') return true;
  // An opaque tag may hold a comma, so the list is read tag by tag.
  for (const [tag] of field.matchAll(/(?:W\/)?"[^"]*"/g)) {
    if (!TAG.test(tag)) continue;
    if (tag === etag || (comparison === 'weak' && tag === `W/${etag}`)) return true;
  }
  return false;
}
