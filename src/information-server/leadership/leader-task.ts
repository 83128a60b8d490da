import type { Transaction } from 'kysely';

import { HeadwaterError } from '../../core/errors.ts';
import type { Database } from '../../database/database.ts';
import type { Tables } from '../../database/tables.ts';

/** Name of the lease of which the holder leads. */
export const LEADER = 'leader';

/** Work that only the leader does, again and again. */
export interface LeaderTask {
  /** For the log and the metrics, such as `mark-dead-servers`. */
  readonly name: string;
  /** Seconds from the end of one run to the beginning of the next. */
  readonly every: number;
  /**
   * One run. Everything it writes goes through `fenced` with this epoch. An error is logged, and the next run comes as if
   * there was none. `signal` is aborted when the lead is lost or the server stops.
   */
  run(epoch: number, signal: AbortSignal): Promise<void>;
}

/**
 * A transaction of the leader. It happens only while nobody has taken the lead since `epoch`: who takes it waits for
 * transactions under way, and every later one finds the new epoch. So a leader that slept can do no harm.
 *
 * @throws HeadwaterError `HW_STALE_EPOCH`, and what `Database.transaction` throws
 */
export function fenced<T>(
  database: Database,
  epoch: number,
  work: (queries: Transaction<Tables>) => Promise<T>,
): Promise<T> {
  return database.transaction(async (queries) => {
    const lease = queries.selectFrom('leases').select('epoch').where('name', '=', LEADER);
    // The weakest lock: it stands in the way of taking the lead (FOR UPDATE), and not of renewing the lease.
    const row = await (database.kind === 'postgresql' ? lease.forKeyShare() : lease).executeTakeFirst();
    if (row?.epoch !== epoch) {
      const said = `another information server leads since epoch ${row?.epoch ?? 0}; this was epoch ${epoch}`;
      throw new HeadwaterError('HW_STALE_EPOCH', said, { details: { epoch, current: row?.epoch ?? 0 } });
    }
    return work(queries);
  });
}
