import { sql, type Transaction } from 'kysely';

import { appendEvents, type NewEvent } from '../../database/append-events.ts';
import type { Database } from '../../database/database.ts';
import type { Tables } from '../../database/tables.ts';
import { fenced } from '../leadership/leader-task.ts';
import type { StoreRow } from '../uploads/store-servers.ts';
import { DRAINED_SLICE } from './limits.ts';
import type { RepairServer } from './repair-server.ts';

/**
 * Takes up what has become of the servers since the last look, whoever led then: what was on one that is gone or leaves is to
 * be looked at, as is what waited for one that takes copies now.
 */
export async function noteServerChanges(
  database: Database,
  epoch: number,
  rows: readonly StoreRow[],
  servers: ReadonlyMap<number, RepairServer>,
  now: number,
): Promise<void> {
  const changed = rows.filter((row) => servers.get(row.number)?.kind !== row.repair_as);
  if (changed.length === 0) return;
  await fenced(database, epoch, async (db) => {
    const events: NewEvent[] = [];
    for (const row of changed) {
      const kind = servers.get(row.number)?.kind ?? null;
      await db
        .updateTable('servers')
        .set({ repair_as: kind, ...(kind !== 'leaving' && { drained_at: null }) })
        .where('number', '=', row.number)
        .execute();
      const before = row.repair_as;
      const isAway = kind === 'gone' || kind === 'leaving';
      if (isAway || before === 'gone' || before === 'leaving') {
        const contents = await lookAtServer(db, row.number, now);
        if (isAway && contents > 0) events.push(started(row, kind, contents));
      }
    }
    const isWelcome = changed.some((row) => servers.get(row.number)?.kind === 'open');
    if (isWelcome) {
      await db.updateTable('repairs').set({ look_at: now }).where('look_at', '>', now).execute();
    }
    await appendEvents(db, database.kind, events, now);
  });
}

function started({ id, name }: StoreRow, kind: 'gone' | 'leaving', contents: number): NewEvent {
  const data = { server: id, name, why: kind === 'gone' ? 'dead' : 'draining', contents };
  return { kind: 'repair.started', audience: 'people', data };
}

/** Number of contents. */
async function lookAtServer(db: Transaction<Tables>, server: number, now: number): Promise<number> {
  const { numAffectedRows = 0n } = await sql`
    insert into repairs (content_id, least, since, look_at)
      select distinct holdings.content_id, cast(null as integer), cast(${now} as bigint), cast(${now} as bigint)
      from holdings join files on files.content_id = holdings.content_id
      where holdings.server_number = ${server} and holdings.stored = 1
        and files.deleted_at is null and files.replicas is not null
    on conflict (content_id) do update set look_at = excluded.look_at, least = null`.execute(db);
  return Number(numAffectedRows);
}

/** Says of draining servers that nothing is left on them. */
export async function tellDrained(
  database: Database,
  epoch: number,
  rows: readonly StoreRow[],
  servers: ReadonlyMap<number, RepairServer>,
  now: number,
): Promise<void> {
  for (const row of rows) {
    if (row.drained_at !== null || servers.get(row.number)?.kind !== 'leaving') continue;
    const left = await database.queries
      .selectFrom('holdings')
      .innerJoin('files', 'files.content_id', 'holdings.content_id')
      .select('holdings.chunks')
      .where('holdings.server_number', '=', row.number)
      .where('holdings.stored', '=', 1)
      .where('files.released_at', 'is', null)
      .where('files.replicas', 'is not', null)
      .limit(DRAINED_SLICE)
      .execute();
    // The form that is gaps has no byte of 0.
    const isEmpty = left.every(({ chunks }) => chunks !== null && chunks.every((byte) => byte === 0));
    if (!isEmpty || left.length === DRAINED_SLICE) continue;
    await fenced(database, epoch, async (db) => {
      await db.updateTable('servers').set({ drained_at: now }).where('number', '=', row.number).execute();
      const data = { server: row.id, name: row.name };
      const event: NewEvent = { kind: 'server.drained', audience: 'people', data };
      await appendEvents(db, database.kind, [event], now);
    });
  }
}
