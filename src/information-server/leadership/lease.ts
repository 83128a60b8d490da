import { sql } from 'kysely';

import { appendEvents } from '../../database/append-events.ts';
import { databaseClock } from '../../database/database-clock.ts';
import type { Database } from '../../database/database.ts';
import { LEADER } from './leader-task.ts';

/** An information server, as others see it. */
export interface Candidate {
  readonly id: string;
  readonly url: string;
}

/** The lease as it is now. */
export interface LeaseView {
  readonly owner: string;
  readonly url: string;
  readonly epoch: number;
  /** Milliseconds it is still good for, by the database's clock; 0 or less: anyone may take it. */
  readonly remaining: number;
}

export async function readLease({ kind, queries }: Database): Promise<LeaseView | undefined> {
  const row = await queries
    .selectFrom('leases')
    .select(['owner', 'url', 'epoch', 'expires_at', databaseClock(kind).as('now')])
    .where('name', '=', LEADER)
    .executeTakeFirst();
  if (row === undefined) return undefined;
  return { owner: row.owner, url: row.url, epoch: row.epoch, remaining: row.expires_at - row.now };
}

/**
 * Takes the lease when nobody has it, and tells everyone.
 *
 * @param time milliseconds for which it is taken
 * @returns the new epoch; undefined when somebody has it
 */
export async function takeLease(
  database: Database,
  { id, url }: Candidate,
  time: number,
): Promise<number | undefined> {
  const { kind } = database;
  const clock = databaseClock(kind);
  return database.transaction(async (queries) => {
    await queries
      .insertInto('leases')
      .values({ name: LEADER, owner: '', url: '', epoch: 0, expires_at: 0 })
      .onConflict((conflict) => conflict.column('name').doNothing())
      .execute();
    const lease = queries.selectFrom('leases').select('epoch').where('name', '=', LEADER);
    // The lock that waits for the transactions of the leader before (see `fenced`), and that later ones wait for.
    const row = await (kind === 'postgresql' ? lease.forUpdate() : lease).executeTakeFirstOrThrow();
    // Asked for after the lock was had: that can have taken a while.
    const taken = await queries
      .updateTable('leases')
      .set({ owner: id, url, epoch: row.epoch + 1, expires_at: sql<number>`${clock} + ${time}` })
      .where('name', '=', LEADER)
      .where('expires_at', '<=', clock)
      .returning(['epoch', databaseClock(kind).as('now')])
      .executeTakeFirst();
    if (taken === undefined) return undefined;
    const data = { id, url, epoch: taken.epoch };
    await appendEvents(queries, kind, [{ kind: 'leader.changed', audience: 'people', data }], taken.now);
    return taken.epoch;
  });
}

/** Keeps it for as long again. False: somebody else has it. */
export async function renewLease(
  { kind, queries }: Database,
  { id }: Candidate,
  epoch: number,
  time: number,
): Promise<boolean> {
  const { numUpdatedRows } = await queries
    .updateTable('leases')
    .set({ expires_at: sql<number>`${databaseClock(kind)} + ${time}` })
    .where('name', '=', LEADER)
    .where('owner', '=', id)
    .where('epoch', '=', epoch)
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

/** Gives it up where this server has it, so that another can take it at once. */
export async function releaseLease({ queries }: Database, { id }: Candidate): Promise<void> {
  await queries
    .updateTable('leases')
    .set({ expires_at: 0 })
    .where('name', '=', LEADER)
    .where('owner', '=', id)
    .execute();
}
