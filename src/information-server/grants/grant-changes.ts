import { HeadwaterError } from '../../core/errors.ts';
import { appendEvents, type NewEvent } from '../../database/append-events.ts';
import type { Audience } from '../../core/api/events.ts';
import type { DownloadEnd } from '../../core/api/files.ts';
import type { Queries } from '../../database/database.ts';
import { audit, type Actor } from '../accounts/audit.ts';
import type { Caller } from '../authentication.ts';
import type { Context } from '../context.ts';
import { readFiles, type FileFacts } from '../files/file-facts.ts';
import { fileNotFound } from '../files/file-not-found.ts';
import { maySee } from '../files/may-see.ts';
import { mustNotBeRevoked, type GrantAccess } from './grant-access.ts';
import { credentialHolds, type GrantRow } from './grant-store.ts';
import { sourceWatchOf } from './source-watch.ts';

/** Most servers that an event names; one for more goes to all of them: those whom it is nothing to drop it. */
const MOST_NAMED_SERVERS = 200;

/** A grant with its new end. */
export interface Renewed {
  readonly id: string;
  readonly userId: string;
  readonly at: number;
  readonly expiresAt: number;
  readonly file: FileFacts;
}

/**
 * Makes a grant last for another while: as long as its account may see the file, and what it was asked for with is good.
 *
 * @param credential digest of the token that came, where it is the account's own
 * @throws HeadwaterError `HW_GRANT_REVOKED`, `HW_CONFLICT` (the download has ended), `HW_TOKEN_EXPIRED` (the session is over),
 *   `HW_NOT_FOUND`
 */
export async function renewGrant(
  { grant, caller }: GrantAccess,
  credential: string | undefined,
  { database, now, settings }: Context,
): Promise<Renewed> {
  mustNotBeRevoked(grant);
  if (grant.ended_at !== null)
    throw new HeadwaterError('HW_CONFLICT', 'this download has ended; ask for another');
  const db = database.queries;
  const at = now();
  const isOwn = caller !== undefined && caller.id === grant.user_id && credential !== undefined;
  const user = isOwn ? caller : await credentialHolds(db, grant, at);
  if (user === undefined) {
    const said = 'the session that this download was begun with is over; log in and ask for it again';
    throw new HeadwaterError('HW_TOKEN_EXPIRED', said);
  }
  const file = await grantedFile(db, grant, user);
  const expiresAt = Math.max(grant.expires_at, at + settings.times.grant * 1000);
  const { numUpdatedRows } = await db
    .updateTable('grants')
    .set({ expires_at: expiresAt, ...(isOwn && { credential }) })
    .where('id', '=', grant.id)
    .where('revoked_at', 'is', null)
    .executeTakeFirst();
  if (numUpdatedRows === 0n) mustNotBeRevoked({ ...grant, revoked_at: at });
  return { id: grant.id, userId: grant.user_id, at, expiresAt, file };
}

/**
 * The file of a grant, as long as its account may see it.
 *
 * @throws HeadwaterError `HW_GRANT_REVOKED` when the file was deleted, `HW_NOT_FOUND`
 */
async function grantedFile(
  db: Queries,
  { file_id: id }: GrantRow,
  user: Pick<Caller, 'id' | 'role'>,
): Promise<FileFacts> {
  const file = (await readFiles(db, [id])).get(id);
  if (file === undefined)
    throw new HeadwaterError('HW_GRANT_REVOKED', 'the file of this download was deleted', {
      details: { file: id },
    });
  if (!(await maySee(db, file, user))) throw fileNotFound(id);
  return file;
}

/** Writes down how a download ended. The first word counts: what is said again changes nothing. */
export async function endDownload(
  grant: GrantRow,
  { outcome, bytes, seconds, code }: DownloadEnd,
  { database, now }: Context,
): Promise<void> {
  const at = now();
  await database.transaction(async (db) => {
    const { numUpdatedRows } = await db
      .updateTable('grants')
      .set({ ended_at: at, outcome, bytes })
      .where('id', '=', grant.id)
      .where('ended_at', 'is', null)
      .executeTakeFirst();
    if (numUpdatedRows === 0n) return;
    const about = await db
      .selectFrom('files')
      .leftJoin('users', (join) => join.on('users.id', '=', grant.user_id))
      .select(['files.name', 'users.email'])
      .where('files.id', '=', grant.file_id)
      .executeTakeFirst();
    const data = {
      download: grant.id,
      file: grant.file_id,
      name: about?.name ?? null,
      user: about?.email ?? null,
      outcome,
      bytes,
      seconds,
      ...(code !== undefined && { code }),
    };
    await appendEvents(db, database.kind, [{ kind: 'download.ended', audience: 'people', data }], at);
  });
}

/** Takes a grant back: the servers of its file are told. Done again, it changes nothing. */
export async function revokeGrant(grant: GrantRow, by: Actor, context: Context): Promise<void> {
  const { database, now } = context;
  const at = now();
  await database.transaction(async (db) => {
    const { numUpdatedRows } = await db
      .updateTable('grants')
      .set({ revoked_at: at })
      .where('id', '=', grant.id)
      .where('revoked_at', 'is', null)
      .executeTakeFirst();
    if (numUpdatedRows === 0n) return;
    // Read now: it may have been renewed meanwhile.
    const row = await db
      .selectFrom('grants')
      .innerJoin('files', 'files.id', 'grants.file_id')
      .select(['grants.expires_at', 'files.content_id'])
      .where('grants.id', '=', grant.id)
      .executeTakeFirst();
    await audit(db, { at, by, action: 'grant.revoked', subject: grant.id, details: { file: grant.file_id } });
    const event: NewEvent = {
      kind: 'grant.revoked',
      audience: row === undefined ? 'all' : await audienceOf(db, row.content_id),
      data: { grant: grant.id, expiresAt: new Date(row?.expires_at ?? grant.expires_at).toISOString() },
    };
    await appendEvents(db, database.kind, [event], at);
  });
  sourceWatchOf(context).ended({ grantId: grant.id });
}

/** Every server that holds something of a content, whatever its state: a paused one must know too. */
export async function audienceOf(db: Queries, contentId: number): Promise<Audience> {
  const rows = await db
    .selectFrom('holdings')
    .innerJoin('servers', 'servers.number', 'holdings.server_number')
    .select('servers.id')
    .where('holdings.content_id', '=', contentId)
    .limit(MOST_NAMED_SERVERS + 1)
    .execute();
  return rows.length > MOST_NAMED_SERVERS ? 'all' : { servers: rows.map(({ id }) => id) };
}
