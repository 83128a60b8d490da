import type { FileDetails, Visibility } from '../../core/api/files.ts';
import { ChunkLayout } from '../../core/chunks.ts';
import type { Caller } from '../authentication.ts';
import type { Queries } from '../../database/database.ts';
import { hasOf } from '../grants/has.ts';
import { countBits, countCopies, rangeOf } from '../repair/copy-counts.ts';
import { bitmapOfCount } from '../servers/holding-form.ts';
import type { FileFacts } from './file-facts.ts';
import { entryOf } from './list-files.ts';

/** Everything about a file, and every server that holds something of it and is not dead. */
export async function detailsOf(db: Queries, file: FileFacts, caller: Caller): Promise<FileDetails> {
  const { count } = new ChunkLayout(file.size, file.chunkSize);
  const found = await db
    .selectFrom('holdings')
    .innerJoin('servers', 'servers.number', 'holdings.server_number')
    .select([
      'servers.id',
      'servers.name',
      'servers.zone',
      'servers.state',
      'holdings.chunks',
      'holdings.stored',
    ])
    .where('holdings.content_id', '=', file.contentId)
    .where('servers.state', '!=', 'dead')
    .orderBy('servers.name')
    .execute();
  const rows = found.map((row) => ({ ...row, chunks: bitmapOfCount(row.chunks, count) }));
  const servers = rows.map(({ id, name, zone, state, chunks }) => ({
    id,
    name,
    zone,
    state,
    has: hasOf(chunks, count),
    chunks: chunks === null ? count : countBits(chunks),
  }));
  const stored = rows.filter((row) => row.stored === 1 || file.replicas === undefined);
  // An empty file has copies all the same: servers that answer for it.
  const bitmaps = stored.map(({ chunks }) => chunks);
  const copies = count === 0 ? Uint8Array.of(stored.length) : countCopies(count, bitmaps);
  return {
    ...entryOf(file, servers.length),
    chunkSize: file.chunkSize,
    chunks: count,
    owner: await ownerOf(db, file),
    visibility: await visibilityOf(db, file, caller),
    replicas: { wanted: file.replicas ?? null, ...rangeOf(copies) },
    servers,
  };
}

async function ownerOf(db: Queries, { ownerId }: FileFacts): Promise<string | null> {
  if (ownerId === undefined) return null;
  const row = await db.selectFrom('users').select('email').where('id', '=', ownerId).executeTakeFirst();
  return row?.email ?? null;
}

/** Whom a file names is for its owner and admins; others see that it names them. */
async function visibilityOf(db: Queries, file: FileFacts, caller: Caller): Promise<Visibility> {
  if (file.visibility === 'everyone') return 'everyone';
  if (caller.role !== 'admin' && caller.id !== file.ownerId) return { users: [caller.email] };
  const rows = await db
    .selectFrom('file_readers')
    .innerJoin('users', 'users.id', 'file_readers.user_id')
    .select('users.email')
    .where('file_readers.file_id', '=', file.id)
    .orderBy('users.email')
    .execute();
  return { users: rows.map(({ email }) => email) };
}
