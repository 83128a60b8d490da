import { sql, type Transaction } from 'kysely';

import { Mutex } from '../../database/sqlite/mutex.ts';
import type { Tables } from '../../database/tables.ts';
import type { Context } from '../context.ts';
import { perContext } from '../per-context.ts';

/** Number of the PostgreSQL lock under which contents and files are made, so that names are given out one by one. */
const LOCK = 0x6865_6167;

const turnsOf = perContext(() => new Mutex());

/**
 * A transaction that makes contents or files: one at a time in the whole fleet, so that names are given out one by one,
 * and one at a time here, so that those who wait take no connections from others.
 */
export async function inTurn<T>(context: Context, work: (db: Transaction<Tables>) => Promise<T>): Promise<T> {
  const end = await turnsOf(context).take();
  try {
    return await context.database.transaction(async (db) => {
      if (context.database.kind === 'postgresql')
        await sql`select pg_advisory_xact_lock(${LOCK})`.execute(db);
      return work(db);
    });
  } finally {
    end();
  }
}
