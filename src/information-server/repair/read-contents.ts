import { ChunkLayout } from '../../core/chunks.ts';
import type { Queries } from '../../database/database.ts';
import { bitmapFrom } from '../servers/holding-form.ts';
import { allBits, countBits, without } from './copy-counts.ts';
import type { ContentCopies, ServerChunks } from './plan.ts';

/** Bytes of a digest. */
const DIGEST = 32;

/** A content of which copies are wanted. */
export interface PublishedContent {
  readonly id: number;
  readonly manifest: string;
  /** Name of one of its files. */
  readonly name: string;
  readonly copies: Omit<ContentCopies, 'avoid' | 'rebalance'>;
}

/** What is known of the copies of contents, by id; those that no file wants copies of are left out. */
export async function readContents(
  db: Queries,
  ids: readonly number[],
): Promise<Map<number, PublishedContent>> {
  if (ids.length === 0) return new Map();
  const facts = await db
    .selectFrom('contents')
    .innerJoin('files', 'files.content_id', 'contents.id')
    .select((is) => [
      'contents.id',
      'contents.manifest_sha256',
      'contents.size',
      'contents.chunk_size',
      'contents.chunk_digests',
      is.fn.min('files.name').as('name'),
      is.fn.max('files.replicas').as('replicas'),
      is.fn.max('files.zones').as('zones'),
    ])
    .where('contents.id', 'in', ids)
    .where('files.deleted_at', 'is', null)
    .where('files.replicas', 'is not', null)
    .groupBy('contents.id')
    .execute();
  const holdings = await grouped(db, ids);
  const orders = await chunksOf(db, 'copies', ids);
  const drops = await chunksOf(db, 'drops', ids);
  const contents = new Map<number, PublishedContent>();
  for (const row of facts) {
    const { id, chunk_digests: digests } = row;
    if (digests === null) continue;
    const layout = new ChunkLayout(row.size, row.chunk_size);
    const full = allBits(layout.count);
    const told = (holdings.get(id) ?? []).map(({ server, chunks, isStored }) => ({
      server,
      chunks: bitmapFrom(chunks, full.length) ?? full,
      isStored,
    }));
    const has = new Map(told.map(({ server, chunks }) => [server, chunks]));
    const remaining = (orders.get(id) ?? [])
      .map(({ server, chunks }) => ({ server, chunks: without(chunks, has.get(server) ?? new Uint8Array()) }))
      .filter(({ chunks }) => countBits(chunks) > 0);
    const bytes = Buffer.from(digests.buffer, digests.byteOffset, digests.byteLength);
    const copies = {
      layout,
      digest: (chunk: number) => bytes.toString('hex', chunk * DIGEST, (chunk + 1) * DIGEST),
      replicas: row.replicas ?? 1,
      zones: row.zones ?? 1,
      stored: told.filter(({ isStored }) => isStored),
      inPlace: told.filter(({ isStored }) => !isStored),
      orders: remaining,
      drops: drops.get(id) ?? [],
    };
    contents.set(id, { id, manifest: row.manifest_sha256, name: row.name, copies });
  }
  return contents;
}

interface Told {
  readonly server: number;
  readonly chunks: Uint8Array | null;
  readonly isStored: boolean;
}

async function grouped(db: Queries, ids: readonly number[]): Promise<Map<number, Told[]>> {
  const rows = await db
    .selectFrom('holdings')
    .select(['content_id', 'server_number', 'chunks', 'stored'])
    .where('content_id', 'in', ids)
    .orderBy('server_number')
    .execute();
  const found = new Map<number, Told[]>();
  for (const { content_id: id, server_number: server, chunks, stored } of rows) {
    const list = found.get(id) ?? [];
    found.set(id, list);
    list.push({ server, chunks, isStored: stored === 1 });
  }
  return found;
}

async function chunksOf(
  db: Queries,
  table: 'copies' | 'drops',
  ids: readonly number[],
): Promise<Map<number, ServerChunks[]>> {
  const rows = await db
    .selectFrom(table)
    .select(['content_id', 'server_number', 'chunks'])
    .where('content_id', 'in', ids)
    .orderBy('server_number')
    .execute();
  const found = new Map<number, ServerChunks[]>();
  for (const { content_id: id, server_number: server, chunks } of rows) {
    const list = found.get(id) ?? [];
    found.set(id, list);
    list.push({ server, chunks });
  }
  return found;
}
