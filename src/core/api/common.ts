/**
 * What goes over the wire between clients, information servers and file servers. One schema validates a value, gives
 * its type and describes it in the OpenAPI document.
 */
import { z } from 'zod';

import { foldName } from '../fold-name.ts';

/** Longest name of a file, in characters: what most file systems take for a path. */
export const MOST_NAME_LENGTH = 1_024;
/** Longest name of a file, in bytes of UTF-8: what fits into an index of PostgreSQL. */
const MOST_NAME_BYTES = 2_400;
/** Most entries on one page of a list. */
export const MOST_PAGE = 1_000;

/** An id that the fleet gives: a UUID, version 7 (RFC 9562, 5.7), so that ids sort by when they were made. */
export const Id = z.uuid().describe('Id given by the fleet: a UUID.');

/** SHA-256 in lower-case hex. */
export const Sha256 = z
  .string()
  .regex(/^[0-9a-f]{64}$/)
  .describe('SHA-256, 64 lower-case hexadecimal digits.');

/** A moment: ISO 8601 in UTC. */
export const Time = z.iso.datetime().describe('A moment in UTC, ISO 8601.');

/** Bytes. */
export const Bytes = z.int().nonnegative().describe('Bytes.');

/** The label of a place. */
export const Zone = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/)
  .describe('Zone: lower-case letters, digits and dashes, at most 63.');

/**
 * A file's name in the fleet: a path with `/`, relative, without empty, `.` or `..` parts and without control
 * characters.
 */
export const FileName = z
  .string()
  .min(1)
  .max(MOST_NAME_LENGTH)
  .refine(isFileName, 'a relative path with / and without empty, "." or ".." parts or control characters')
  .refine(hasFewBytes, `longer than ${MOST_NAME_BYTES} bytes in UTF-8`)
  .describe('Name of a file: a relative path with /.');

export function isFileName(name: string): boolean {
  // eslint-disable-next-line no-control-regex
  if (/[\u0000-\u001f\u007f-\u009f\\]/.test(name) || !name.isWellFormed()) return false;
  return name.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
}

/** A text of one line: no control characters, which no database and no terminal should see, and no half characters. */
export function line(most: number) {
  return z.string().min(1).max(most).refine(isLine, 'a text without control characters');
}

function isLine(text: string): boolean {
  // eslint-disable-next-line no-control-regex
  return !/[\u0000-\u001f\u007f-\u009f]/.test(text) && text.isWellFormed();
}

/** Entries on one page where the caller does not say. */
const PAGE = 100;

/** The query of a list that comes in pages, with what the list takes besides. */
export function pageQuery<T extends z.ZodRawShape>(shape: T) {
  return z.strictObject({
    ...shape,
    limit: z.coerce.number().int().min(1).max(MOST_PAGE).default(PAGE),
    cursor: line(2_048).optional().describe('`next` of the page before.'),
  });
}

/** The query of a route that takes none. */
export const NoQuery = z.strictObject({});
/** The answer of a route that gives none (204). */
export const Nothing = z.null().describe('Nothing.');
/** The body of a route that takes none. */
export const NoBody = z.strictObject({}).nullish();

/** Some characters take more bytes in lower case. */
function hasFewBytes(name: string): boolean {
  const encoder = new TextEncoder();
  return [name, foldName(name)].every((each) => encoder.encode(each).length <= MOST_NAME_BYTES);
}

/** Every error's answer. */
export const ErrorAnswer = z
  .object({
    code: z.string().describe('Stable code, HW_…; docs/errors.md has them all.'),
    message: z.string().describe('What happened, for people.'),
    details: z
      .record(z.string(), z.unknown())
      .describe('Facts for programs, such as the field that is wrong.'),
  })
  .describe('What went wrong.');
export type ErrorAnswer = z.infer<typeof ErrorAnswer>;

/** Chunks that a server holds: all of them, or ranges of chunk numbers, each [first, last]. */
export const Has = z
  .union([z.literal('all'), z.array(z.tuple([z.int().nonnegative(), z.int().nonnegative()]))])
  .describe('Chunks held: "all", or ranges of chunk numbers from 0, each [first, last], ascending.');
export type Has = z.infer<typeof Has>;
