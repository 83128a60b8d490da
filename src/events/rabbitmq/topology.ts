import type { Channel } from 'rabbitmq-client';

import type { Addressee } from '../audience.ts';
import { bindingKeys, type BrokerNames } from './broker-names.ts';

/** Milliseconds after which a queue that nobody reads is deleted: as long as the outbox keeps what it would hold. */
export const QUEUE_EXPIRY = 7 * 86_400_000;
/**
 * Times that an event comes to a file server that dies, or loses the broker, in the middle of its work, before it is given
 * up: work that merely fails is given up by the file server itself, sooner.
 */
export const MOST_REDELIVERIES = 20;

export async function declareExchanges(channel: Channel, names: BrokerNames): Promise<void> {
  await channel.exchangeDeclare({ exchange: names.exchange, type: 'topic', durable: true });
  await channel.exchangeDeclare({ exchange: names.deadExchange, type: 'fanout', durable: true });
  await channel.queueDeclare({
    queue: names.deadQueue,
    durable: true,
    arguments: { 'x-queue-type': 'quorum' },
  });
  await channel.queueBind({ queue: names.deadQueue, exchange: names.deadExchange, routingKey: '' });
}

/** A file server's queue: kept on disk by a majority of the broker's nodes. */
export async function declareServerQueue(
  channel: Channel,
  names: BrokerNames,
  server: Addressee,
  mostRedeliveries: number,
): Promise<string> {
  const queue = names.queueOf(server.id);
  await channel.queueDeclare({
    queue,
    durable: true,
    arguments: {
      'x-queue-type': 'quorum',
      'x-delivery-limit': mostRedeliveries,
      'x-dead-letter-exchange': names.deadExchange,
      'x-expires': QUEUE_EXPIRY,
    },
  });
  for (const routingKey of bindingKeys(server)) {
    await channel.queueBind({ queue, exchange: names.exchange, routingKey });
  }
  return queue;
}
