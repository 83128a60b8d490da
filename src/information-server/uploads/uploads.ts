import type { Selectable } from 'kysely';
import type { z } from 'zod';

import { Visibility } from '../../core/api/files.ts';
import type { UploadAnswer, UploadRequest } from '../../core/api/uploads.ts';
import { HeadwaterError } from '../../core/errors.ts';
import { newId } from '../../database/ids.ts';
import type { Tables } from '../../database/tables.ts';
import type { Caller } from '../authentication.ts';
import type { Context } from '../context.ts';
import { mustMayChange } from '../files/file-access.ts';
import { readFileNamed } from '../files/file-facts.ts';
import { nameIsTaken, usersOf } from '../files/file-changes.ts';
import { MOST_UPLOADS } from './limits.ts';
import { readStores, uploadServerOf } from './store-servers.ts';
import { uploadToken } from './upload-tokens.ts';

export type UploadRow = Selectable<Tables['uploads']>;

/**
 * Begins an upload: says where chunks can go, and gives leave to send them.
 *
 * @throws HeadwaterError `HW_CONFLICT` (the name is taken), `HW_FORBIDDEN` (it is somebody else's to replace), `HW_NO_ROOM`,
 *   `HW_USAGE` (no such user), `HW_TOO_MANY`
 */
export async function beginUpload(
  context: Context,
  request: z.output<typeof UploadRequest>,
  caller: Caller,
): Promise<UploadAnswer> {
  const { database, now, settings } = context;
  const { name, replicas = settings.copies.replicas, visibility = 'everyone', replace } = request;
  const db = database.queries;
  const other = await readFileNamed(db, name);
  if (other !== undefined) {
    if (!replace) throw await nameIsTaken(db, name, other, caller);
    mustMayChange(caller, other);
  }
  if (visibility !== 'everyone') await usersOf(db, visibility.users);
  const { count } = await db
    .selectFrom('uploads')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('user_id', '=', caller.id)
    .where('file_id', 'is', null)
    .executeTakeFirstOrThrow();
  if (count >= MOST_UPLOADS) {
    const said = `${caller.email} has ${count} uploads under way: end some, or wait until they are forgotten`;
    throw new HeadwaterError('HW_TOO_MANY', said, { details: { retryAfter: 60 } });
  }
  const at = now();
  const row: UploadRow = {
    id: newId(at),
    name,
    user_id: caller.id,
    replicas,
    zones: request.zones ?? replicas,
    visibility: JSON.stringify(visibility),
    replace: replace ? 1 : 0,
    created_at: at,
    keep_until: at + (request.keep ?? settings.copies.keep) * 1000,
    file_id: null,
  };
  const answer = await uploadAnswer(context, row);
  if (!answer.servers.some(({ open }) => open)) {
    const said = 'no file server of the fleet runs and has room for chunks now';
    throw new HeadwaterError('HW_NO_ROOM', said, { details: { servers: answer.servers.length } });
  }
  await db.insertInto('uploads').values(row).execute();
  return answer;
}

/** What a client needs to go on with an upload: a token and the servers as they are now. */
export async function uploadAnswer(context: Context, row: UploadRow): Promise<UploadAnswer> {
  const { id, user_id: user, keep_until: keepUntil, replicas, zones } = row;
  const { token, expiresAt } = await uploadToken(context, { id, user, keepUntil });
  const stores = await readStores(context.database.queries);
  return {
    id,
    token,
    expiresAt: new Date(expiresAt).toISOString(),
    keepUntil: new Date(keepUntil).toISOString(),
    replicas,
    zones,
    servers: stores.filter(({ state }) => state !== 'dead' && state !== 'stopped').map(uploadServerOf),
  };
}

/**
 * An account's own upload; an admin's any.
 *
 * @throws HeadwaterError `HW_NOT_FOUND`
 */
export async function findUpload({ database, now }: Context, id: string, caller: Caller): Promise<UploadRow> {
  const row = await database.queries
    .selectFrom('uploads')
    .selectAll()
    .where('id', '=', id)
    .executeTakeFirst();
  const isTheirs = row !== undefined && (row.user_id === caller.id || caller.role === 'admin');
  // A committed one answers again as long as it is known.
  if (isTheirs && (row.file_id !== null || row.keep_until > now())) return row;
  const said = 'there is no such upload, or it was kept as long as it was to be: begin another';
  throw new HeadwaterError('HW_NOT_FOUND', said, { details: { upload: id } });
}

/** Keeps its chunks for longer: those of an upload that goes on are not to be cleaned up meanwhile. */
export async function renewUpload(context: Context, row: UploadRow): Promise<UploadAnswer> {
  const { database, now, settings } = context;
  const wanted = Math.min(settings.copies.keep * 1000, row.keep_until - row.created_at);
  const keepUntil = Math.max(row.keep_until, now() + wanted);
  await database.queries
    .updateTable('uploads')
    .set({ keep_until: keepUntil })
    .where('id', '=', row.id)
    .execute();
  return uploadAnswer(context, { ...row, keep_until: keepUntil });
}

/** Whom its file is to be shown to. */
export function visibilityOf({ visibility }: UploadRow): Visibility {
  return Visibility.parse(JSON.parse(visibility));
}
