import type { Channel, SyncMessage } from 'rabbitmq-client';

import type { BrokerConnection } from './broker-connection.ts';
import type { BrokerNames } from './broker-names.ts';
import { declareExchanges } from './topology.ts';

/** Dead letters taken in one go. */
const TAKEN_AT_ONCE = 100;

/** An event that a file server, or the broker, has given up. */
export interface DeadEvent {
  /** Id of the file server that should have done its work. */
  readonly server: string | undefined;
  readonly event: { readonly id?: unknown; readonly kind?: unknown; readonly position?: unknown };
  /** `rejected`: its work failed each time; `delivery_limit`: who worked on it was gone each time. */
  readonly reason: string;
}

/**
 * Takes what was given up out of its queue.
 *
 * @param keep writes it down where the operator sees it; only then it leaves the queue
 */
export async function takeDeadEvents(
  connection: BrokerConnection,
  names: BrokerNames,
  keep: (dead: readonly DeadEvent[]) => Promise<void>,
): Promise<void> {
  const channel = await connection.channel();
  try {
    await declareExchanges(channel, names);
    for (;;) {
      const taken = await take(channel, names);
      const last = taken.at(-1);
      if (last === undefined) return;
      const dead = taken.map((message) => deadEvent(message, names));
      // What is told of too late is no failure.
      await keep(dead.filter(({ reason }) => reason !== 'expired'));
      channel.basicAck({ deliveryTag: last.deliveryTag, multiple: true });
      if (taken.length < TAKEN_AT_ONCE) return;
    }
  } finally {
    await channel.close();
  }
}

async function take(channel: Channel, names: BrokerNames): Promise<SyncMessage[]> {
  const taken: SyncMessage[] = [];
  while (taken.length < TAKEN_AT_ONCE) {
    const message = await channel.basicGet({ queue: names.deadQueue });
    if (message === undefined) break;
    taken.push(message);
  }
  return taken;
}

function deadEvent({ body, headers }: SyncMessage, names: BrokerNames): DeadEvent {
  const deaths = (headers as { 'x-death'?: unknown } | undefined)?.['x-death'];
  const [death] = Array.isArray(deaths) ? (deaths as { queue?: string; reason?: string }[]) : [];
  const event: unknown = body;
  return {
    server: names.serverOf(death?.queue ?? ''),
    event: typeof event === 'object' && event !== null ? event : {},
    reason: death?.reason ?? 'unknown',
  };
}
