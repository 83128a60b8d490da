import { setTimeout as sleep } from 'node:timers/promises';

import { Deliveries } from './deliveries.ts';
import type { EventConsumer, EventFeed, RunningFeed } from './event-feed.ts';
import { openStream, tellGivenUp, withConnections, type InformationServers } from './stream-request.ts';

/** Milliseconds until it is asked again; doubled up to the most, taken by chance between half and all of it. */
const FIRST_PAUSE = 100;
const MOST_PAUSE = 5_000;

/** Events straight from the information servers: a long-lived answer of one, and of the next one when that goes. */
export function embeddedFeed(servers: InformationServers): EventFeed {
  return {
    subscribe: (consumer) => {
      const stopping = new AbortController();
      const running = withConnections(servers, (reached) =>
        new EmbeddedSubscription(reached, consumer, stopping.signal).run(),
      );
      const feed: RunningFeed = {
        close: () => {
          stopping.abort();
          return running;
        },
      };
      return feed;
    },
  };
}

class EmbeddedSubscription {
  readonly #servers: InformationServers;
  readonly #consumer: EventConsumer;
  readonly #signal: AbortSignal;
  readonly #deliveries: Deliveries;
  #position: number;
  #pause = FIRST_PAUSE;
  #turn = 0;

  constructor(servers: InformationServers, consumer: EventConsumer, signal: AbortSignal) {
    this.#servers = servers;
    this.#consumer = consumer;
    this.#signal = signal;
    this.#position = consumer.after;
    this.#deliveries = new Deliveries(consumer, signal);
  }

  async run(): Promise<void> {
    while (!this.#signal.aborted) {
      const addresses = this.#servers.addresses();
      const address = addresses[this.#turn % Math.max(1, addresses.length)];
      try {
        if (address !== undefined) await this.#follow(address);
      } catch (error) {
        if (this.#signal.aborted) return;
        this.#consumer.state?.('away', error);
      }
      this.#turn++;
      const pause = this.#pause * (0.5 + Math.random() / 2);
      this.#pause = Math.min(MOST_PAUSE, this.#pause * 2);
      await sleep(pause, undefined, { signal: this.#signal }).catch(() => undefined);
    }
  }

  async #follow(address: string): Promise<void> {
    const request = { after: this.#position, follow: true, signal: this.#signal };
    let isFirst = true;
    for await (const line of openStream(this.#servers, address, request)) {
      if (isFirst) this.#consumer.state?.('connected');
      isFirst = false;
      this.#pause = FIRST_PAUSE;
      if (line.id !== undefined) {
        const outcome = await this.#deliveries.deliver(line);
        if (outcome.is === 'stopped') return;
        if (outcome.is === 'given-up') {
          await tellGivenUp(this.#servers, address, {
            event: line,
            cause: outcome.cause,
            signal: this.#signal,
          });
        }
      }
      this.#position = line.position;
      this.#consumer.done(line.position);
    }
  }
}
