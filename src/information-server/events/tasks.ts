import { appendEvents } from '../../database/append-events.ts';
import { takeDeadEvents, type DeadEvent } from '../../events/rabbitmq/dead-letters.ts';
import { relayEvents } from '../../events/rabbitmq/relay.ts';
import type { Context, LeaderTasks } from '../context.ts';
import { fenced, type LeaderTask } from '../leadership/leader-task.ts';
import { brokerOf } from './broker-of.ts';
import { trimEvents } from './trim-events.ts';

/** Seconds until the relay begins anew after the database failed it. */
const RELAY_AGAIN = 0.5;
/** Seconds between two looks for dead letters. */
const DEAD_LETTERS_EVERY = 2;

export const eventsTasks: LeaderTasks = (context) => [trimEvents(context), ...brokerTasks(context)];

function brokerTasks(context: Context): LeaderTask[] {
  const broker = brokerOf(context);
  if (broker === undefined) return [];
  const { connection, names } = broker;
  const { database, log } = context;
  return [
    {
      name: 'relay-events',
      every: RELAY_AGAIN,
      run: (epoch, signal) =>
        relayEvents({
          database,
          connection,
          names,
          epoch,
          signal,
          fenced: (work) => fenced(database, epoch, work),
          onState: (state, cause) => {
            if (state === 'away') log.warn({ err: cause }, 'events cannot be relayed now: they are kept');
            else log.info('events are relayed again');
          },
        }),
    },
    {
      name: 'take-dead-letters',
      every: DEAD_LETTERS_EVERY,
      run: async (epoch) => {
        // Its being away is told already.
        if (!connection.isUp) return;
        await takeDeadEvents(connection, names, (dead) => keepDeadEvents(context, epoch, dead));
      },
    },
  ];
}

/** Tells the operator of events that were given up. */
async function keepDeadEvents(
  { database, now }: Context,
  epoch: number,
  dead: readonly DeadEvent[],
): Promise<void> {
  if (dead.length === 0) return;
  await fenced(database, epoch, async (db) => {
    const ids = dead.flatMap(({ server }) => (server === undefined ? [] : [server]));
    const rows =
      ids.length === 0
        ? []
        : await db.selectFrom('servers').select(['id', 'name']).where('id', 'in', ids).execute();
    const names = new Map(rows.map(({ id, name }) => [id, name]));
    const events = dead.map(({ server, event: { id, kind, position }, reason }) => ({
      kind: 'event.dead-lettered',
      audience: 'people' as const,
      data: { server, name: names.get(server ?? ''), event: id, kind, position, why: reason },
    }));
    await appendEvents(db, database.kind, events, now());
  });
}
