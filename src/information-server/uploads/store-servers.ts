import type { UploadServer } from '../../core/api/uploads.ts';
import type { Queries } from '../../database/database.ts';
import type { ServerRow } from '../../database/tables.ts';

const COLUMNS = [
  'number',
  'id',
  'name',
  'zone',
  'url',
  'state',
  'wanted',
  'store_capacity',
  'store_open',
  'store_chunks',
  'store_bytes',
  'last_seen_at',
  'repair_as',
  'drained_at',
] as const;

/** A server with a chunk store. */
export type StoreRow = Pick<ServerRow, (typeof COLUMNS)[number]>;

/** Servers with a chunk store, whatever their state. */
export function readStores(db: Queries): Promise<StoreRow[]> {
  return db
    .selectFrom('servers')
    .select(COLUMNS)
    .where('store_capacity', 'is not', null)
    .orderBy('number')
    .execute();
}

/** Whether it runs, has room, and nobody wants otherwise of it. */
export function isOpen({ state, wanted, store_open: open, store_capacity: capacity }: StoreRow): boolean {
  return state === 'running' && wanted === 'running' && open === 1 && (capacity ?? 0) > 0;
}

/** Whether it may still answer. */
export function isThere({ state }: Pick<StoreRow, 'state'>): boolean {
  return state !== 'dead' && state !== 'stopped';
}

/** As clients see it. */
export function uploadServerOf(row: StoreRow): UploadServer {
  const { id, name, zone, url, store_capacity: capacity } = row;
  return { id, name, zone, url: url.replace(/\/+$/, ''), weight: capacity ?? 0, open: isOpen(row) };
}
