import { setTimeout as sleep } from 'node:timers/promises';

import type { Transaction } from 'kysely';
import type { Channel } from 'rabbitmq-client';

import type { FleetEvent } from '../../core/api/events.ts';
import type { Database } from '../../database/database.ts';
import type { Tables } from '../../database/tables.ts';
import { eventsAfter, newestPosition } from '../outbox.ts';
import { brokerError, type BrokerConnection } from './broker-connection.ts';
import { routingKeys, type BrokerNames } from './broker-names.ts';
import { declareExchanges } from './topology.ts';

/** Name of the relay's row in the table `relays`. */
export const BROKER_RELAY = 'rabbitmq';
/** Events published before their confirmations are waited for. */
const PUBLISHED_AT_ONCE = 200;
/** Milliseconds between two looks for what other information servers have committed. */
const LOOK_EVERY = 200;
/** Milliseconds that confirmations may take; then the channel is given up and everything unconfirmed published again. */
const CONFIRM_PATIENCE = 30_000;
/** Milliseconds of rest while the broker is away. */
const AWAY_REST = 500;
/** Milliseconds after which news of a download is no longer worth being told. */
const GRANT_NEWS = 900_000;

/** A transaction of the leader that is refused once another leads. */
export type Fenced = <T>(work: (queries: Transaction<Tables>) => Promise<T>) => Promise<T>;

interface RelayParts {
  readonly database: Database;
  readonly connection: BrokerConnection;
  readonly names: BrokerNames;
  readonly fenced: Fenced;
  readonly epoch: number;
  readonly signal: AbortSignal;
  /** Told once when the broker goes, and once when it is back. */
  readonly onState: (state: 'connected' | 'away', cause?: unknown) => void;
}

/**
 * Passes the outbox on to the broker, in order, for as long as this server leads: an event counts as passed on once the
 * broker has confirmed that it keeps it. After a failure everything unconfirmed is published again, so an event can come
 * twice, and none is left out.
 */
export async function relayEvents(parts: RelayParts): Promise<void> {
  const { database, signal, onState } = parts;
  let position = await firstPosition(parts);
  let wake = (): void => undefined;
  const forget = database.onEvents(() => wake());
  let channel: Channel | undefined;
  let isAway = false;
  try {
    while (!signal.aborted) {
      const { promise: woken, resolve } = Promise.withResolvers<void>();
      wake = resolve;
      const events = await eventsAfter(database, position, PUBLISHED_AT_ONCE);
      const last = events.at(-1);
      if (last === undefined) {
        await Promise.race([woken, rest(LOOK_EVERY, signal)]);
        continue;
      }
      try {
        channel = await openChannel(parts, channel);
        await publish(parts, channel, events);
        if (isAway) onState('connected');
        isAway = false;
      } catch (error) {
        if (signal.aborted) return;
        if (!isAway) onState('away', brokerError(error));
        isAway = true;
        // A broker that does not answer does not answer this either.
        void channel?.close();
        channel = undefined;
        await rest(AWAY_REST, signal);
        continue;
      }
      await keepPosition(parts, last.position);
      position = last.position;
    }
  } finally {
    forget();
    void channel?.close();
  }
}

async function rest(time: number, signal: AbortSignal): Promise<void> {
  await sleep(time, undefined, { signal }).catch(() => undefined);
}

/** Where the last leader was; the first one ever begins with what comes now. */
async function firstPosition({ database, fenced, epoch }: RelayParts): Promise<number> {
  const newest = await newestPosition(database);
  return fenced(async (db) => {
    await db
      .insertInto('relays')
      .values({ name: BROKER_RELAY, position: newest, epoch })
      .onConflict((conflict) => conflict.column('name').doUpdateSet({ epoch }))
      .execute();
    const row = await db
      .selectFrom('relays')
      .select('position')
      .where('name', '=', BROKER_RELAY)
      .executeTakeFirstOrThrow();
    // Beyond the newest: the database was put back to an earlier state.
    return Math.min(row.position, newest);
  });
}

async function keepPosition({ fenced, epoch }: RelayParts, position: number): Promise<void> {
  await fenced((db) =>
    db.updateTable('relays').set({ position, epoch }).where('name', '=', BROKER_RELAY).execute(),
  );
}

async function openChannel({ connection, names }: RelayParts, old: Channel | undefined): Promise<Channel> {
  if (old?.active === true) return old;
  const channel = await connection.channel();
  try {
    await declareExchanges(channel, names);
    await channel.confirmSelect();
    return channel;
  } catch (error) {
    await channel.close();
    throw error;
  }
}

async function publish(
  { database, names, signal }: RelayParts,
  channel: Channel,
  events: readonly FleetEvent[],
): Promise<void> {
  const zones = await zonesOf(database, events);
  const confirmed: Promise<void>[] = [];
  for (const { audience, ...event } of events) {
    // Who else is told of it is left out where it is a list of servers; a zone's is, for who has moved.
    const body = typeof audience === 'object' && 'servers' in audience ? event : { ...event, audience };
    for (const [routingKey, ...more] of routingKeys(audience, event.kind, (server) => zones.get(server))) {
      if (routingKey === undefined) continue;
      const envelope = {
        exchange: names.exchange,
        routingKey,
        durable: true,
        messageId: event.id,
        type: event.kind,
        ...(event.kind === 'download.granted' && { expiration: String(GRANT_NEWS) }),
        // Taken out by the broker before it hands the message on.
        ...(more.length > 0 && { headers: { BCC: more } }),
      };
      confirmed.push(channel.basicPublish(envelope, body));
    }
  }
  await allWithin(confirmed, signal);
}

async function allWithin(confirmed: readonly Promise<void>[], signal: AbortSignal): Promise<void> {
  const late = new AbortController();
  const patience = sleep(CONFIRM_PATIENCE, undefined, { signal: AbortSignal.any([signal, late.signal]) });
  const tooLate = patience.then(() => {
    throw new Error(`nothing confirmed for ${CONFIRM_PATIENCE / 1000} s`);
  });
  const all = Promise.all(confirmed);
  try {
    await Promise.race([all, tooLate]);
  } finally {
    late.abort();
    tooLate.catch(() => undefined);
    all.catch(() => undefined);
    for (const each of confirmed) each.catch(() => undefined);
  }
}

async function zonesOf({ queries }: Database, events: readonly FleetEvent[]): Promise<Map<string, string>> {
  const ids = new Set(
    events.flatMap(({ audience }) =>
      typeof audience === 'object' && 'servers' in audience ? audience.servers : [],
    ),
  );
  if (ids.size === 0) return new Map();
  const rows = await queries
    .selectFrom('servers')
    .select(['id', 'zone'])
    .where('id', 'in', [...ids].slice(0, 10_000))
    .execute();
  return new Map(rows.map(({ id, zone }) => [id, zone]));
}
