import { sql, type Transaction } from 'kysely';

import { appendEvents } from '../../database/append-events.ts';
import type { Database } from '../../database/database.ts';
import type { Tables } from '../../database/tables.ts';
import { makeKeyRow, readKeyRow, type SigningKey } from './signing-key.ts';

/** Number of the PostgreSQL lock of who makes keys. */
const LOCK = 0x6865_6b65;

/** Keys that are not past, the oldest first. */
export async function readKeys({ queries }: Pick<Database, 'queries'>, now: number): Promise<SigningKey[]> {
  const rows = await queries
    .selectFrom('signing_keys')
    .selectAll()
    .where((is) => is.or([is('expires_at', 'is', null), is('expires_at', '>', now)]))
    .orderBy('active_from')
    .orderBy('kid')
    .execute();
  return rows.map(readKeyRow);
}

/** Makes the fleet's first key, unless another server has. */
export async function ensureKey(database: Database, now: number): Promise<void> {
  await database.transaction(async (db) => {
    await alone(database, db);
    const known = await db
      .selectFrom('signing_keys')
      .select('kid')
      .where('retired_at', 'is', null)
      .executeTakeFirst();
    if (known !== undefined) return;
    // Nobody trusts an older one: nothing is gained by waiting.
    await db
      .insertInto('signing_keys')
      .values(await makeKeyRow(now, now))
      .execute();
  });
}

/** What a rotation takes from the settings, milliseconds. */
export interface RotationTimes {
  /** Until the new key signs. */
  readonly notice: number;
  /** For which a grant can be good that is signed at the last moment of the old one. */
  readonly longestGrant: number;
}

/**
 * Makes a key that signs when everyone has had time to learn of it. The one before it signs until then, and is trusted
 * until the last grant that it signed is over.
 *
 * @param also done in the same transaction, such as writing down who asked for it
 */
export async function rotateKeys(
  database: Database,
  now: number,
  { notice, longestGrant }: RotationTimes,
  also: (db: Transaction<Tables>, kid: string) => Promise<void>,
): Promise<{ kid: string; activeFrom: number }> {
  return database.transaction(async (db) => {
    await alone(database, db);
    const activeFrom = now + notice;
    const row = await makeKeyRow(now, activeFrom);
    await db
      .updateTable('signing_keys')
      .set({ retired_at: activeFrom, expires_at: activeFrom + longestGrant })
      .where('retired_at', 'is', null)
      .execute();
    await db.insertInto('signing_keys').values(row).execute();
    await also(db, row.kid);
    const event = { kind: 'keys.rotated', audience: 'all', data: { kid: row.kid } } as const;
    await appendEvents(db, database.kind, [event], now);
    return { kid: row.kid, activeFrom };
  });
}

/** Several servers must not each make a key: SQLite's transactions wait for each other by themselves. */
async function alone({ kind }: Database, db: Transaction<Tables>): Promise<void> {
  if (kind === 'postgresql') await sql`select pg_advisory_xact_lock(${LOCK})`.execute(db);
}
