import { databaseClock } from '../../database/database-clock.ts';
import type { Database } from '../../database/database.ts';
import { fenced, type LeaderTask } from './leader-task.ts';
import type { Candidate } from './lease.ts';

/** Milliseconds without a sign of life after which an information server's address is no longer given to anyone. */
const MEMBER_SILENT = 10_000;
/** Milliseconds after which it is forgotten. */
const MEMBER_FORGOTTEN = 3_600_000;
/** Seconds between two looks for those to be forgotten. */
const FORGET_EVERY = 60;

/** Says that this information server is there. */
export async function sayHere({ kind, queries }: Database, { id, url }: Candidate): Promise<void> {
  const clock = databaseClock(kind);
  await queries
    .insertInto('information_servers')
    .values({ id, url, started_at: clock, seen_at: clock })
    .onConflict((conflict) => conflict.column('id').doUpdateSet({ url, seen_at: clock }))
    .execute();
}

/** Says that it is no longer there. */
export async function sayGone({ queries }: Database, id: string): Promise<void> {
  await queries.deleteFrom('information_servers').where('id', '=', id).execute();
}

/** Addresses of the information servers that are there, the oldest first. */
export async function membersHere({ kind, queries }: Database): Promise<string[]> {
  const rows = await queries
    .selectFrom('information_servers')
    .select(['url', 'seen_at', databaseClock(kind).as('now')])
    .orderBy('started_at')
    .orderBy('id')
    .execute();
  const here = rows.filter((row) => row.seen_at > row.now - MEMBER_SILENT).map(({ url }) => url);
  return [...new Set(here)];
}

/** Forgets those that died. */
export function forgetMembers(database: Database): LeaderTask {
  return {
    name: 'forget-information-servers',
    every: FORGET_EVERY,
    run: (epoch) =>
      fenced(database, epoch, async (queries) => {
        const { now } = await queries
          .selectNoFrom(databaseClock(database.kind).as('now'))
          .executeTakeFirstOrThrow();
        await queries
          .deleteFrom('information_servers')
          .where('seen_at', '<', now - MEMBER_FORGOTTEN)
          .execute();
      }),
  };
}
