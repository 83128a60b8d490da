import type { Transaction } from 'kysely';

import { FEED_EVENTS, FLEET_EVENTS } from '../../core/api/events.ts';
import type { Tables } from '../../database/tables.ts';
import { BROKER_RELAY } from '../../events/rabbitmq/relay.ts';
import type { Context } from '../context.ts';
import { fenced, type LeaderTask } from '../leadership/leader-task.ts';

/** Seconds between two times of trimming. */
const TRIM_EVERY = 60;
/** Milliseconds for which the news that bytes will be asked for is kept: then they were, or never will be. */
const KEPT_GRANTED = 15 * 60_000;
/** Milliseconds for which people can look back at downloads: there are thousands a second. */
const KEPT_DOWNLOADS = 60 * 60_000;
/**
 * Milliseconds for which everything else is kept. A file server that was away for longer misses nothing that matters: a
 * grant revoked or given for a deleted file has run out, and what is wanted of it, the fleet's keys and what it holds are
 * settled when it registers.
 */
const KEPT = 7 * 86_400_000;
/** Events deleted in one transaction: on SQLite everyone else who writes waits for it. */
const TRIMMED_AT_ONCE = 5_000;

const KEPT_LESS: Readonly<Record<string, number>> = {
  'download.granted': KEPT_GRANTED,
  'download.started': KEPT_DOWNLOADS,
  'download.ended': KEPT_DOWNLOADS,
};
const KINDS = new Set<string>([...Object.keys(FLEET_EVENTS), ...FEED_EVENTS]);

/** Drops old events from the outbox; never one that the broker does not have yet, and never the newest. */
export function trimEvents({ database, now, settings }: Context): LeaderTask {
  const trim = async (db: Transaction<Tables>, kind: string): Promise<number> => {
    const old = db
      .selectFrom('events')
      .select('position')
      .where('kind', '=', kind)
      .where('at', '<', now() - (KEPT_LESS[kind] ?? KEPT))
      .where('position', '<=', await relayedUpTo(db, settings.broker !== undefined))
      .orderBy('at')
      .limit(TRIMMED_AT_ONCE);
    const { numDeletedRows } = await db.deleteFrom('events').where('position', 'in', old).executeTakeFirst();
    return Number(numDeletedRows);
  };
  return {
    name: 'trim-events',
    every: TRIM_EVERY,
    run: async (epoch, signal) => {
      for (const kind of KINDS) {
        let trimmed = TRIMMED_AT_ONCE;
        while (trimmed === TRIMMED_AT_ONCE && !signal.aborted) {
          trimmed = await fenced(database, epoch, (db) => trim(db, kind));
        }
      }
    },
  };
}

/** The newest stays: positions go on from it, and a reader sees by it where the outbox ends. */
async function relayedUpTo(db: Transaction<Tables>, hasBroker: boolean): Promise<number> {
  const newest = await db
    .selectFrom('events')
    .select(({ fn }) => fn.max('position').as('position'))
    .executeTakeFirst();
  const most = (newest?.position ?? 0) - 1;
  if (!hasBroker) return most;
  const relay = await db
    .selectFrom('relays')
    .select('position')
    .where('name', '=', BROKER_RELAY)
    .executeTakeFirst();
  return Math.min(most, relay?.position ?? 0);
}
