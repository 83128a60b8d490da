import { BROKER_RELAY } from '../../events/rabbitmq/relay.ts';
import type { Context } from '../context.ts';
import { eventTailOf } from './event-tail-of.ts';

/** Waiting events counted; with more it is bad enough. */
const MOST_COUNTED = 100_000;

/** Figures about events, read when somebody asks. */
export function eventMetrics(context: Context): void {
  const { metrics, settings } = context;
  const { queries } = context.database;
  metrics.gauge('headwater_event_streams', 'Streams of events that this server sends.', () => {
    return eventTailOf(context).followers;
  });
  metrics.gauge(
    'headwater_dead_letters',
    'Events of the last 7 days that a file server, or the broker for it, has given up.',
    async () => {
      const row = await queries
        .selectFrom('events')
        .select(({ fn }) => fn.countAll<number>().as('count'))
        .where('kind', '=', 'event.dead-lettered')
        .executeTakeFirst();
      return row?.count ?? 0;
    },
  );
  if (settings.broker === undefined) return;
  metrics.gauge('headwater_broker_up', 'Whether the message broker can be used: 1 or 0.', () =>
    context.brokerIsUp() ? 1 : 0,
  );
  const help = `Events that wait to be relayed to the message broker, at most ${MOST_COUNTED}.`;
  metrics.gauge('headwater_events_waiting', help, async () => {
    const relay = await queries
      .selectFrom('relays')
      .select('position')
      .where('name', '=', BROKER_RELAY)
      .executeTakeFirst();
    const waiting = queries
      .selectFrom('events')
      .select('position')
      .where('position', '>', relay?.position ?? 0)
      .limit(MOST_COUNTED)
      .as('waiting');
    const row = await queries
      .selectFrom(waiting)
      .select(({ fn }) => fn.countAll<number>().as('count'))
      .executeTakeFirst();
    return row?.count ?? 0;
  });
}
