import { createHash } from 'node:crypto';

import { z } from 'zod';

import { HeadwaterError } from '../../core/errors.ts';

const Cursor = z.tuple([z.string(), z.union([z.string().max(2_000), z.number()]), z.int().nonnegative()]);

/** The last entry of a page: what the list is sorted by, and the number of its file. */
export interface Position {
  readonly key: string | number;
  readonly number: number;
}

/** What a cursor belongs to: with another search or order it makes no sense. */
interface Question {
  readonly search?: string | undefined;
  readonly sort: string;
}

/** Where the next page begins, as text that means something only here. */
export function writeCursor(question: Question, { key, number }: Position): string {
  return Buffer.from(JSON.stringify([markOf(question), key, number])).toString('base64url');
}

/** @throws HeadwaterError `HW_USAGE` */
export function readCursor(question: Question, cursor: string): Position {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
  } catch {
    value = undefined;
  }
  const { success, data } = Cursor.safeParse(value);
  if (!success) throw wrong('is not what a page before has given as "next"');
  const [mark, key, number] = data;
  if (mark !== markOf(question))
    throw wrong('is of another list: search and sort must be as for the page before');
  const isText = question.sort.endsWith('name');
  if (typeof key !== (isText ? 'string' : 'number'))
    throw wrong('is not what a page before has given as "next"');
  return { key, number };
}

function markOf({ search = '', sort }: Question): string {
  return createHash('sha256').update(`${sort} ${search}`).digest('base64url').slice(0, 8);
}

function wrong(why: string): HeadwaterError {
  return new HeadwaterError('HW_USAGE', `cursor: ${why}`, {
    details: { field: 'cursor', where: 'querystring' },
  });
}
