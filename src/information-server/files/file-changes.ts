import type { Transaction } from 'kysely';

import type { FileChange, Visibility } from '../../core/api/files.ts';
import { HeadwaterError } from '../../core/errors.ts';
import { foldName } from '../../core/fold-name.ts';
import { appendEvents, type NewEvent } from '../../database/append-events.ts';
import type { Queries } from '../../database/database.ts';
import type { Tables } from '../../database/tables.ts';
import { audit, type Actor } from '../accounts/audit.ts';
import type { Caller } from '../authentication.ts';
import type { Context } from '../context.ts';
import { catalogueOf } from '../grants/catalogue.ts';
import { audienceOf } from '../grants/grant-changes.ts';
import { sourceWatchOf } from '../grants/source-watch.ts';
import { readFileNamed, readFiles, type FileFacts } from './file-facts.ts';
import { fileNotFound } from './file-not-found.ts';
import { maySee } from './may-see.ts';

/** Codes of a value that must be unique and is not: PostgreSQL's, and SQLite's extended one. */
const UNIQUE_POSTGRES = '23505';
const UNIQUE_SQLITE = 2067;

/**
 * Gives a file another name, other readers, or both, in one transaction.
 *
 * @throws HeadwaterError `HW_CONFLICT` (the name is taken), `HW_USAGE` (no such user), `HW_NOT_FOUND`
 */
export async function changeFile(
  context: Context,
  { id }: Pick<FileFacts, 'id'>,
  { name, visibility }: FileChange,
  { caller, by }: { readonly caller: Caller; readonly by: Actor },
): Promise<FileFacts> {
  const { database, now } = context;
  const at = now();
  try {
    await database.transaction(async (db) => {
      // Read here: somebody may have changed or deleted it meanwhile.
      const file = await fileIn(db, id);
      const events: NewEvent[] = [];
      if (name !== undefined && name !== file.name) events.push(await rename(db, file, name, { at, by }));
      if (visibility !== undefined) events.push(await show(db, file, visibility, { at, by }));
      await appendEvents(db, database.kind, events, at);
    });
  } catch (error) {
    if (name !== undefined && isTaken(error)) {
      const { queries } = database;
      throw await nameIsTaken(queries, name, await readFileNamed(queries, name), caller);
    }
    throw error;
  }
  catalogueOf(context).files.forget();
  return fileIn(database.queries, id);
}

/**
 * Deletes a file: hidden at once, and no more grants. Servers that have it in place withdraw it and keep what they hold; of
 * what was published downloads may finish within their grants, and its chunks are let go after them.
 */
export async function deleteFile(context: Context, { id }: Pick<FileFacts, 'id'>, by: Actor): Promise<void> {
  const { database, now } = context;
  const at = now();
  const file = await database.transaction(async (db) => {
    const file = await fileIn(db, id);
    await appendEvents(db, database.kind, [await hideFile(db, file, { at, by })], at);
    return file;
  });
  forgetFile(context, file);
}

/** What a deletion is in a transaction of others; `forgetFile` comes after its commit. */
export async function hideFile(db: Transaction<Tables>, file: FileFacts, note: Note): Promise<NewEvent> {
  const { id, name, contentId, manifestSha256: manifest } = file;
  const isPublished = file.replicas !== undefined;
  await db
    .updateTable('files')
    .set({ deleted_at: note.at, released_at: isPublished ? null : note.at })
    .where('number', '=', file.number)
    .execute();
  await audit(db, { ...note, action: 'file.deleted', subject: id, details: { name } });
  if (isPublished) return { kind: 'file.deleted', audience: 'people', data: { file: id, manifest, name } };
  const others = await db
    .selectFrom('files')
    .select('id')
    .where('content_id', '=', contentId)
    .where('deleted_at', 'is', null)
    .limit(1)
    .execute();
  // The content stays another file's.
  const data = { file: id, manifest, name, ...(others.length > 0 && { withdraw: false }) };
  return { kind: 'file.deleted', audience: await audienceOf(db, contentId), data };
}

/** Lets go of what is remembered of a file that was deleted just now. */
export function forgetFile(context: Context, { replicas, contentId }: FileFacts): void {
  catalogueOf(context).files.forget();
  if (replicas === undefined) sourceWatchOf(context).ended({ contentId });
}

/** When a change is made, and by whom. */
export interface Note {
  readonly at: number;
  readonly by: Actor;
}

async function rename(db: Transaction<Tables>, file: FileFacts, name: string, note: Note): Promise<NewEvent> {
  await db
    .updateTable('files')
    .set({ name, name_folded: foldName(name) })
    .where('number', '=', file.number)
    .execute();
  const details = { from: file.name, to: name };
  await audit(db, { ...note, action: 'file.renamed', subject: file.id, details });
  return {
    kind: 'file.renamed',
    audience: await audienceOf(db, file.contentId),
    data: { file: file.id, manifest: file.manifestSha256, name, before: file.name },
  };
}

async function show(
  db: Transaction<Tables>,
  file: FileFacts,
  visibility: Visibility,
  note: Note,
): Promise<NewEvent> {
  const readers = visibility === 'everyone' ? [] : await usersOf(db, visibility.users);
  await db
    .updateTable('files')
    .set({ visibility: visibility === 'everyone' ? 'everyone' : 'users' })
    .where('number', '=', file.number)
    .execute();
  await db.deleteFrom('file_readers').where('file_id', '=', file.id).execute();
  if (readers.length > 0) {
    const rows = readers.map((user) => ({ file_id: file.id, user_id: user }));
    await db.insertInto('file_readers').values(rows).execute();
  }
  await audit(db, { ...note, action: 'file.visibility', subject: file.id, details: { visibility } });
  const to = visibility === 'everyone' ? 'everyone' : 'users';
  return { kind: 'file.visibility', audience: 'people', data: { file: file.id, visibility: to } };
}

/** @throws HeadwaterError `HW_USAGE` when there is no such account */
export async function usersOf(db: Queries, emails: readonly string[]): Promise<string[]> {
  const wanted = [...new Set(emails.map((email) => email.trim().toLowerCase()))];
  if (wanted.length === 0) return [];
  const rows = await db.selectFrom('users').select(['id', 'email']).where('email', 'in', wanted).execute();
  const known = new Set(rows.map(({ email }) => email));
  const unknown = wanted.find((email) => !known.has(email));
  if (unknown === undefined) return rows.map(({ id }) => id);
  throw new HeadwaterError('HW_USAGE', `visibility.users: there is no account ${unknown}`, {
    details: { field: 'visibility.users', where: 'body', email: unknown },
  });
}

async function fileIn(db: Queries, id: string): Promise<FileFacts> {
  const file = (await readFiles(db, [id])).get(id);
  if (file === undefined) throw fileNotFound(id);
  return file;
}

function isTaken(error: unknown): boolean {
  const { code, errcode } = error as { code?: unknown; errcode?: unknown };
  return code === UNIQUE_POSTGRES || errcode === UNIQUE_SQLITE;
}

/**
 * Says which file has the name, and what it is: who was to publish the same may be content with it. Of a file that the
 * caller may not see it says only that the name is taken.
 */
export async function nameIsTaken(
  db: Queries,
  name: string,
  other: FileFacts | undefined,
  caller: Pick<Caller, 'id' | 'role'>,
): Promise<HeadwaterError> {
  if (other === undefined || !(await maySee(db, other, caller))) {
    const whose = other === undefined ? 'that somebody has just made' : 'that you may not see';
    return new HeadwaterError('HW_CONFLICT', `the name ${name} belongs to a file ${whose}`, {
      details: { field: 'name', name, file: null },
    });
  }
  const { id: file, sha256, manifestSha256 } = other;
  return new HeadwaterError('HW_CONFLICT', `the name ${name} belongs to the file ${file}`, {
    details: { field: 'name', name, file, sha256, manifestSha256 },
  });
}
