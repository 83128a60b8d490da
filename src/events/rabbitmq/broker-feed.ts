import type { Addressee } from '../audience.ts';
import type { EventFeed } from '../event-feed.ts';
import { withConnections, type InformationServers } from '../stream-request.ts';
import { brokerAt } from './broker-names.ts';
import { BrokerSubscription } from './broker-subscription.ts';
import { MOST_REDELIVERIES } from './topology.ts';

export interface BrokerFeedOptions {
  /** `amqp://USER:PASSWORD@HOST:PORT/VHOST`, and `?prefix=NAME` where that of the information servers has it. */
  readonly url: string;
  readonly server: Addressee;
  /** Where events are had from that the broker did not keep for this server. */
  readonly informationServers: InformationServers;
  /** Times that an event comes again whose work never ends, 20 unless told otherwise. */
  readonly mostRedeliveries?: number | undefined;
}

/**
 * Events through RabbitMQ: from a durable queue of the file server's own. Whenever it has connected, and so when its queue
 * is new or was deleted, it first asks the information servers for what it has missed.
 *
 * @throws HeadwaterError `HW_USAGE` for what is no address of a broker
 */
export function brokerFeed({
  server,
  mostRedeliveries = MOST_REDELIVERIES,
  informationServers,
  ...broker
}: BrokerFeedOptions): EventFeed {
  const { url, names } = brokerAt(broker.url);
  return {
    subscribe: (consumer) => {
      const stopping = new AbortController();
      const running = withConnections(informationServers, (reached) => {
        const parts = { url, server, names, mostRedeliveries, informationServers: reached };
        return new BrokerSubscription(parts, consumer, stopping.signal).run();
      });
      return {
        close: () => {
          stopping.abort();
          return running;
        },
      };
    },
  };
}
