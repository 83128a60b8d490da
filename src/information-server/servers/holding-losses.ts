import type { Transaction } from 'kysely';

import { ChunkLayout } from '../../core/chunks.ts';
import type { NewEvent } from '../../database/append-events.ts';
import type { Tables } from '../../database/tables.ts';
import type { Teller } from './file-rows.ts';
import { lostChunks } from './has-bitmap.ts';
import { bitmapOfCount } from './holding-form.ts';

/** Chunks named in an event. */
const MOST_CHUNKS_NAMED = 100;
/** Contents looked at for whether their last holder is gone: a server that drops all it has tells of some. */
const MOST_LOOKED_AT = 1_000;
/** Files named in one `holding.lost` event; the rest are counted. */
const MOST_FILES_NAMED = 20;

/** Tells of chunks that a server had and has no more: it has found them bad. */
export function shrunk(
  teller: Teller,
  before: readonly { content_id: number; chunks: Uint8Array | null }[],
  after: readonly {
    content: { id: number; manifest_sha256: string; size: number };
    file: { name: string };
    chunks: Uint8Array | null;
  }[],
): NewEvent[] {
  const had = new Map(before.map((row) => [row.content_id, row.chunks]));
  return after.flatMap(({ content, file, chunks }) => {
    const earlier = had.get(content.id);
    if (earlier === undefined || chunks === null) return [];
    const { count } = new ChunkLayout(content.size);
    const lost = lostChunks(bitmapOfCount(earlier, count), chunks, count, MOST_CHUNKS_NAMED);
    if (lost.length === 0) return [];
    const data = {
      server: teller.id,
      serverName: teller.name,
      name: file.name,
      manifest: content.manifest_sha256,
      chunks: lost,
    };
    return [{ kind: 'chunk.bad', audience: 'people' as const, data }];
  });
}

/** Tells of files that nobody living holds any more. */
export async function lastHoldersGone(
  db: Transaction<Tables>,
  teller: Teller,
  contents: readonly number[],
): Promise<NewEvent[]> {
  if (contents.length === 0) return [];
  const rows = await db
    .selectFrom('files')
    .select(['files.id', 'files.name'])
    .where('files.deleted_at', 'is', null)
    .where('files.content_id', 'in', contents.slice(0, MOST_LOOKED_AT))
    .where((eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom('holdings')
            .innerJoin('servers', 'servers.number', 'holdings.server_number')
            .select('holdings.server_number')
            .where('servers.state', '!=', 'dead')
            .whereRef('holdings.content_id', '=', 'files.content_id'),
        ),
      ),
    )
    .execute();
  if (rows.length === 0) return [];
  const data = {
    server: teller.id,
    serverName: teller.name,
    count: rows.length,
    files: rows.slice(0, MOST_FILES_NAMED),
  };
  return [{ kind: 'holding.lost', audience: 'people', data }];
}
