import { sql, type Transaction } from 'kysely';

import { HeadwaterError } from '../../core/errors.ts';
import { foldName } from '../../core/fold-name.ts';
import type { Manifest } from '../../core/manifest.ts';
import { appendEvents, type NewEvent } from '../../database/append-events.ts';
import { newId } from '../../database/ids.ts';
import type { Tables } from '../../database/tables.ts';
import { audit, type Actor } from '../accounts/audit.ts';
import type { Caller } from '../authentication.ts';
import type { Context } from '../context.ts';
import { mustMayChange } from '../files/file-access.ts';
import { hideFile, nameIsTaken } from '../files/file-changes.ts';
import { readFileNamed, readFiles, type FileFacts } from '../files/file-facts.ts';
import { lookAt } from '../repair/repair-queue.ts';
import { inTurn } from '../servers/catalogue-turn.ts';
import { bitmapFrom, storedForm } from '../servers/holding-form.ts';
import { serversAudience } from './servers-audience.ts';
import type { FoundHolding } from './tally.ts';
import { visibilityOf, type UploadRow } from './uploads.ts';

/** Everything that a file is made of. */
export interface Publication {
  readonly uploadId: string;
  readonly manifest: Manifest;
  readonly manifestSha256: string;
  readonly holdings: readonly FoundHolding[];
  readonly caller: Caller;
  readonly by: Actor;
}

/** What came of it. */
export interface Published {
  /** Id of the file. */
  readonly file: string;
  /** The file that had the name before. */
  readonly replaced: FileFacts | undefined;
}

/**
 * Writes content, holdings, file and events, all or nothing. One at a time: of two that want one name the first has it.
 *
 * @throws HeadwaterError `HW_CONFLICT`, `HW_FORBIDDEN`, `HW_NOT_FOUND`
 */
export function publish(context: Context, publication: Publication): Promise<Published> {
  const { database } = context;
  return inTurn(context, async (db) => {
    const now = context.now();
    const upload = await readUpload(db, publication.uploadId);
    const { manifestSha256, holdings, caller, by } = publication;
    if (upload.file_id !== null)
      return { file: await sameFile(db, upload, manifestSha256), replaced: undefined };
    const contentId = await keepContent(db, publication, now);
    const events: NewEvent[] = [];
    const before = await readFileNamed(db, upload.name);
    const isSame = before !== undefined && before.contentId === contentId && before.replicas !== undefined;
    if (before !== undefined) {
      if (!isSame && upload.replace === 0) throw await nameIsTaken(db, upload.name, before, caller);
      mustMayChange(caller, before);
    }
    await keepHoldings(db, contentId, holdings);
    let file: string;
    if (isSame) {
      file = before.id;
      await wantMore(db, upload, before);
    } else {
      if (before !== undefined) events.push(await hideFile(db, before, { at: now, by }));
      file = await insertFile(db, upload, publication, contentId, now);
    }
    await db.updateTable('uploads').set({ file_id: file }).where('id', '=', upload.id).execute();
    await lookAt(db, [contentId], now);
    const { size } = publication.manifest;
    const { name, replicas, zones } = upload;
    const details = { name, size, replicas, zones, ...(before !== undefined && { before: before.id }) };
    await audit(db, { at: now, by, action: 'file.published', subject: file, details });
    const audience = serversAudience(holdings.map(({ server }) => server.id));
    events.push({ kind: 'content.held', audience, data: { manifest: manifestSha256 } });
    const data = { user: caller.email, count: 1, files: [{ id: file, name, size }] };
    events.push({ kind: 'file.published', audience: 'people', data });
    await appendEvents(db, database.kind, events, now);
    return { file, replaced: isSame ? undefined : before };
  });
}

async function readUpload(db: Transaction<Tables>, id: string): Promise<UploadRow> {
  const row = await db.selectFrom('uploads').selectAll().where('id', '=', id).executeTakeFirst();
  if (row !== undefined) return row;
  throw new HeadwaterError('HW_NOT_FOUND', 'this upload was given up just now', { details: { upload: id } });
}

/** The file that the upload has become; not for another manifest. */
async function sameFile(db: Transaction<Tables>, upload: UploadRow, manifest: string): Promise<string> {
  const id = upload.file_id ?? '';
  const file = (await readFiles(db, [id])).get(id);
  if (file === undefined) {
    const said = 'the file that this upload became was deleted: begin another upload';
    throw new HeadwaterError('HW_NOT_FOUND', said, { details: { file: id } });
  }
  if (file.manifestSha256 === manifest) return id;
  const said = `this upload has become the file ${id} already, of other bytes: begin another`;
  throw new HeadwaterError('HW_CONFLICT', said, { details: { file: id } });
}

async function keepContent(
  db: Transaction<Tables>,
  { manifest, manifestSha256 }: Publication,
  now: number,
): Promise<number> {
  const { size, chunkSize, sha256, chunks } = manifest;
  const facts = {
    size,
    chunk_size: chunkSize,
    sha256,
    chunk_digests: Buffer.from(chunks.join(''), 'hex'),
  };
  const { id } = await db
    .insertInto('contents')
    .values({ ...facts, manifest_sha256: manifestSha256, created_at: now })
    // Announced in place before, and perhaps without a manifest yet.
    .onConflict((conflict) => conflict.column('manifest_sha256').doUpdateSet(facts))
    .returning('id')
    .executeTakeFirstOrThrow();
  return id;
}

/** Adds what was found to what is known: a server that has the content in place has it still. */
async function keepHoldings(
  db: Transaction<Tables>,
  contentId: number,
  holdings: readonly FoundHolding[],
): Promise<void> {
  const numbers = holdings.map(({ server }) => server.number);
  const rows = await db
    .selectFrom('holdings')
    .select(['server_number', 'chunks'])
    .where('content_id', '=', contentId)
    .execute();
  const known = new Map(rows.map((row) => [row.server_number, row.chunks]));
  const fresh = numbers.filter((number) => !known.has(number));
  for (const { server, chunks } of holdings) {
    const stored = known.get(server.number);
    const isAll = stored === null || chunks === null;
    const before = isAll || stored === undefined ? undefined : bitmapFrom(stored, chunks.length);
    const all = isAll ? null : storedForm(united(before ?? undefined, chunks));
    await db
      .insertInto('holdings')
      .values((is) => ({
        content_id: contentId,
        server_number: server.number,
        chunks: all,
        name: '',
        stored: 1,
        // Told by the server itself when it hears of it: until then it must outlast a list that began before.
        listing: is.selectFrom('servers').select('holdings_listing').where('number', '=', server.number),
      }))
      .onConflict((conflict) =>
        conflict.columns(['content_id', 'server_number']).doUpdateSet({ chunks: all, stored: 1 }),
      )
      .execute();
  }
  if (fresh.length === 0) return;
  await db
    .updateTable('servers')
    .set({ files: sql<number>`files + 1` })
    .where('number', 'in', fresh)
    .execute();
}

function united(one: Uint8Array | undefined, other: Uint8Array): Uint8Array {
  return one === undefined ? other : other.map((byte, at) => byte | (one[at] ?? 0));
}

/** The same bytes were published under this name before: now perhaps in more copies, or for others to see. */
async function wantMore(db: Transaction<Tables>, upload: UploadRow, file: FileFacts): Promise<void> {
  const isAsked = upload.replace === 1;
  await db
    .updateTable('files')
    .set({
      replicas: isAsked ? upload.replicas : Math.max(upload.replicas, file.replicas ?? 0),
      zones: isAsked ? upload.zones : Math.max(upload.zones, file.zones ?? 0),
    })
    .where('number', '=', file.number)
    .execute();
  if (isAsked) await showTo(db, upload, file.id);
}

async function insertFile(
  db: Transaction<Tables>,
  upload: UploadRow,
  { manifest }: Publication,
  contentId: number,
  now: number,
): Promise<string> {
  const id = newId(now);
  const { name, user_id: owner, replicas, zones } = upload;
  await db
    .insertInto('files')
    .values({
      id,
      name,
      name_folded: foldName(name),
      content_id: contentId,
      size: manifest.size,
      owner_id: owner,
      visibility: 'everyone',
      created_at: now,
      deleted_at: null,
      replicas,
      zones,
    })
    .execute();
  await showTo(db, upload, id);
  return id;
}

/** Accounts that are gone by now are left out. */
async function showTo(db: Transaction<Tables>, upload: UploadRow, file: string): Promise<void> {
  const visibility = visibilityOf(upload);
  const to = visibility === 'everyone' ? 'everyone' : 'users';
  await db.updateTable('files').set({ visibility: to }).where('id', '=', file).execute();
  await db.deleteFrom('file_readers').where('file_id', '=', file).execute();
  if (visibility === 'everyone' || visibility.users.length === 0) return;
  const emails = visibility.users.map((email) => email.trim().toLowerCase());
  const readers = await db.selectFrom('users').select('id').where('email', 'in', emails).execute();
  if (readers.length === 0) return;
  await db
    .insertInto('file_readers')
    .values(readers.map((user) => ({ file_id: file, user_id: user.id })))
    .execute();
}
