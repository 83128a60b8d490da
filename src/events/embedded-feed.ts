import { setTimeout as sleep } from 'node:timers/promises';

import { Agent } from 'undici';

import { MOST_DELIVERIES, type EventConsumer, type EventFeed, type RunningFeed } from './event-feed.ts';
import { OncePerEvent } from './once-per-event.ts';
import type { StreamedEvent } from './stream-lines.ts';
import { openStream, sendDeadLetter, type InformationServers } from './stream-request.ts';

/** Milliseconds until it is asked again; doubled up to the most, taken by chance between half and all of it. */
const FIRST_PAUSE = 100;
const MOST_PAUSE = 5_000;

/** Events straight from the information servers: a long-lived answer of one, and of the next one when that goes. */
export function embeddedFeed(servers: InformationServers): EventFeed {
  return {
    subscribe: (consumer) => {
      const stopping = new AbortController();
      const own = servers.dispatcher === undefined ? new Agent({ allowH2: false }) : undefined;
      const dispatcher = servers.dispatcher ?? own;
      const running = new EmbeddedSubscription({ ...servers, dispatcher }, consumer, stopping.signal)
        .run()
        .finally(async () => own?.destroy());
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
  readonly #once = new OncePerEvent();
  #position: number;
  #pause = FIRST_PAUSE;
  #turn = 0;

  constructor(servers: InformationServers, consumer: EventConsumer, signal: AbortSignal) {
    this.#servers = servers;
    this.#consumer = consumer;
    this.#signal = signal;
    this.#position = consumer.after;
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
      if (line.id !== undefined && !(await this.#deliver(line, address))) return;
      this.#position = line.position;
      this.#consumer.done(line.position);
    }
  }

  /** False: it was stopped before the work was done. */
  async #deliver(event: StreamedEvent, address: string): Promise<boolean> {
    for (let delivery = 1; ; delivery++) {
      try {
        await this.#once.run(event.id, () => this.#consumer.handle(event, this.#signal));
        return true;
      } catch (error) {
        if (this.#signal.aborted) return false;
        if (delivery >= MOST_DELIVERIES) {
          await this.#giveUp(event, address, error);
          return true;
        }
        await sleep(FIRST_PAUSE * 2 ** delivery, undefined, { signal: this.#signal }).catch(() => undefined);
      }
    }
  }

  async #giveUp(event: StreamedEvent, address: string, cause: unknown): Promise<void> {
    this.#consumer.gaveUp(event, cause);
    const { id, kind, position } = event;
    const why = (cause instanceof Error ? cause.message : String(cause)).slice(0, 1_000);
    try {
      await sendDeadLetter(this.#servers, address, { event: id, kind, position, why }, this.#signal);
    } catch {
      // It is in this server's log.
    }
  }
}
