import type { Database } from '../../database/database.ts';
import { appendEvents, type NewEvent } from '../../database/append-events.ts';
import { fenced } from '../leadership/leader-task.ts';
import { bitmapFrom } from '../servers/holding-form.ts';
import { countBits, rangesOf, without } from './copy-counts.ts';
import { DROP_AGAIN, MOST_ORDERS } from './limits.ts';
import { lookAt } from './repair-queue.ts';
import type { RepairServer } from './repair-server.ts';

/** What came of the orders given so far. */
export interface OrderNews {
  /** Bytes under way, by server. */
  readonly under: ReadonlyMap<number, number>;
  /** Orders under way. */
  readonly open: number;
  /** Chunks, and their bytes, of orders that were done since the last look. */
  readonly chunks: number;
  readonly bytes: number;
  /** Orders that nothing came of in their time. */
  readonly failed: readonly { readonly content: number; readonly server: number }[];
}

/**
 * Closes orders that are done, as holdings show, and those whose time is over or whose server is gone: the next look orders
 * anew what is wanted still.
 */
export async function watchOrders(
  database: Database,
  epoch: number,
  servers: ReadonlyMap<number, RepairServer>,
  now: number,
): Promise<OrderNews> {
  const rows = await database.queries
    .selectFrom('copies')
    .leftJoin('holdings', (join) =>
      join
        .onRef('holdings.content_id', '=', 'copies.content_id')
        .onRef('holdings.server_number', '=', 'copies.server_number'),
    )
    .select(['copies.id', 'copies.content_id', 'copies.server_number', 'copies.bytes', 'copies.deadline'])
    .select(['copies.chunks as ordered', 'holdings.chunks as held', 'holdings.content_id as known'])
    .limit(MOST_ORDERS)
    .execute();
  const under = new Map<number, number>();
  const failed: { content: number; server: number }[] = [];
  const closed: { id: string; content: number }[] = [];
  let [chunks, bytes] = [0, 0];
  for (const row of rows) {
    const { server_number: server, content_id: content } = row;
    const ordered = countBits(row.ordered);
    const held = bitmapFrom(row.held, row.ordered.length);
    const left = row.known === null ? ordered : held === null ? 0 : countBits(without(row.ordered, held));
    const leftBytes = ordered === 0 ? 0 : Math.ceil((row.bytes * left) / ordered);
    const kind = servers.get(server)?.kind;
    const isOver = row.deadline <= now || kind === undefined || kind === 'gone' || kind === 'leaving';
    if (left > 0 && !isOver) {
      under.set(server, (under.get(server) ?? 0) + leftBytes);
      continue;
    }
    closed.push({ id: row.id, content });
    chunks += ordered - left;
    bytes += row.bytes - leftBytes;
    if (left === ordered) failed.push({ content, server });
  }
  if (closed.length > 0) {
    await fenced(database, epoch, async (db) => {
      await db
        .deleteFrom('copies')
        .where(
          'id',
          'in',
          closed.map(({ id }) => id),
        )
        .execute();
      await lookAt(
        db,
        closed.map(({ content }) => content),
        now,
      );
    });
  }
  await watchDrops(database, epoch, now);
  return { under, open: rows.length - closed.length, chunks, bytes, failed };
}

/** Forgets drops that are done; who has not done one for long is told again. */
async function watchDrops(database: Database, epoch: number, now: number): Promise<void> {
  const rows = await database.queries
    .selectFrom('drops')
    .innerJoin('contents', 'contents.id', 'drops.content_id')
    .innerJoin('servers', 'servers.number', 'drops.server_number')
    .leftJoin('holdings', (join) =>
      join
        .onRef('holdings.content_id', '=', 'drops.content_id')
        .onRef('holdings.server_number', '=', 'drops.server_number'),
    )
    .select(['drops.content_id', 'drops.server_number', 'drops.ordered_at', 'drops.chunks as dropped'])
    .select(['holdings.chunks as held', 'holdings.content_id as known'])
    .select(['contents.manifest_sha256', 'servers.id'])
    .orderBy('drops.ordered_at')
    .limit(MOST_ORDERS)
    .execute();
  const done = rows.filter(({ dropped, held, known }) => {
    if (known === null) return true;
    const bits = bitmapFrom(held, dropped.length);
    return bits !== null && countBits(without(dropped, bits)) === countBits(dropped);
  });
  const late = rows.filter((row) => !done.includes(row) && row.ordered_at < now - DROP_AGAIN);
  if (done.length === 0 && late.length === 0) return;
  await fenced(database, epoch, async (db) => {
    for (const { content_id: content, server_number: server } of done) {
      await db
        .deleteFrom('drops')
        .where('content_id', '=', content)
        .where('server_number', '=', server)
        .execute();
    }
    await lookAt(
      db,
      done.map((row) => row.content_id),
      now,
    );
    const events: NewEvent[] = [];
    for (const row of late) {
      await db
        .updateTable('drops')
        .set({ ordered_at: now })
        .where('content_id', '=', row.content_id)
        .where('server_number', '=', row.server_number)
        .execute();
      const data = { manifest: row.manifest_sha256, chunks: rangesOf(row.dropped) };
      events.push({ kind: 'chunks.drop', audience: { servers: [row.id] }, data });
    }
    await appendEvents(db, database.kind, events, now);
  });
}
