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
/** Rows of one statement: PostgreSQL takes 65,535 parameters. */
const MOST_ROWS = 5_000;

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
  for (let from = 0; from < events.length; from += MOST_ROWS) {
    const rows = events.slice(from, from + MOST_ROWS).map((event) => ({
      id: newId(now),
      kind: event.kind,
      at: now,
      audience: JSON.stringify(event.audience),
      data: JSON.stringify(event.data),
    }));
    await db.insertInto('events').values(rows).execute();
  }
}
