import { sql, type Transaction } from 'kysely';

import type { Audience } from '../core/api/events.ts';
import type { DatabaseKind } from './database.ts';
import { newId } from './ids.ts';
import type { Tables } from './tables.ts';

export interface NewEvent {
  /** Of `FLEET_EVENTS` or `FEED_EVENTS`. */
  readonly kind: string;
  readonly audience: Audience;
  readonly data: Readonly<Record<string, unknown>>;
}

/** Number of the PostgreSQL lock that makes events visible in the order of their positions. */
const LOCK = 0x6865_6165;

/** Transactions that have written events. */
const telling = new WeakSet<object>();

/** Whether a transaction has written events: whoever waits for them looks after its commit. */
export function hasToldOf(db: Transaction<Tables>): boolean {
  return telling.has(db);
}

/**
 * Writes events to the outbox in the transaction of the change that they tell of. Best done last in it: on PostgreSQL
 * other transactions that tell of something wait from here until the commit, since otherwise a reader could see position
 * 8, remember it, and never see 7, which was committed later.
 *
 * @param now milliseconds since 1970
 */
export async function appendEvents(
  db: Transaction<Tables>,
  kind: DatabaseKind,
  events: readonly NewEvent[],
  now: number,
): Promise<void> {
  if (events.length === 0) return;
  telling.add(db);
  if (kind === 'postgresql') await sql`select pg_advisory_xact_lock(${LOCK})`.execute(db);
  const json = JSON.stringify(
    events.map((event) => [
      newId(now),
      event.kind,
      now,
      JSON.stringify(event.audience),
      JSON.stringify(event.data),
    ]),
  );
  // One parameter for any number of rows: the statement is made and prepared once, which is most of what it costs.
  const rows =
    kind === 'postgresql'
      ? sql`select row ->> 0, row ->> 1, (row ->> 2)::bigint, row ->> 3, row ->> 4
          from json_array_elements(${json}::json) with ordinality as rows (row, number) order by number`
      : sql`select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 from json_each(${json})`;
  await sql`insert into events (id, kind, at, audience, data) ${rows}`.execute(db);
}
