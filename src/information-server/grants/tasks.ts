import { sql } from 'kysely';

import type { LeaderTasks } from '../context.ts';
import { fenced } from '../leadership/leader-task.ts';

/** Seconds between two runs. */
const EXPIRE_EVERY = 60;
/** Seconds that a grant is kept beyond its end: for saying how its download ended, and what was downloaded lately. */
const GRANT_KEPT = 7 * 86_400;
/** Rows of one transaction: on SQLite everyone else who writes waits for it, some ten milliseconds. */
const MOST_EXPIRED = 2_000;

/** Forgets grants that are long over. */
export const grantsTasks: LeaderTasks = ({ database, now }) => [
  {
    name: 'expire-grants',
    every: EXPIRE_EVERY,
    run: async (epoch, signal) => {
      let expired = MOST_EXPIRED;
      while (expired >= MOST_EXPIRED && !signal.aborted) {
        const before = now() - GRANT_KEPT * 1000;
        const { numAffectedRows = 0n } = await fenced(database, epoch, (db) =>
          sql`delete from grants where id in
            (select id from grants where expires_at < ${before} order by expires_at limit ${MOST_EXPIRED})`.execute(
            db,
          ),
        );
        expired = Number(numAffectedRows);
      }
    },
  },
];
