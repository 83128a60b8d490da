import { setTimeout as sleep } from 'node:timers/promises';

import type { AsyncMessage, Channel } from 'rabbitmq-client';

import { HeadwaterError } from '../../core/errors.ts';
import { isFor, type Addressee } from '../audience.ts';
import { Deliveries } from '../deliveries.ts';
import type { EventConsumer } from '../event-feed.ts';
import type { StreamedEvent } from '../stream-lines.ts';
import { openStream, tellGivenUp, type InformationServers } from '../stream-request.ts';
import { BrokerConnection, brokerError } from './broker-connection.ts';
import type { BrokerNames } from './broker-names.ts';
import { declareExchanges, declareServerQueue } from './topology.ts';

/** Messages that the broker hands over before the first of them is done. */
const PREFETCHED = 50;
/** Milliseconds until it is set up again after it failed; doubled up to the most. */
const FIRST_REST = 200;
const MOST_REST = 5_000;
/** Milliseconds, on average, between two questions to the information servers while the broker is away. */
const ASK_EVERY = 10_000;
/**
 * Milliseconds that the broker may take to open the queue. A queue of which too many nodes are gone, or that did not come
 * back after a crash, never answers: it is deleted then, since what is in it can be asked of the information servers. Left
 * alone it would never confirm what is published to it, and hold up the relay for the whole fleet.
 */
const QUEUE_PATIENCE = 10_000;

interface Parts {
  readonly url: string;
  readonly server: Addressee;
  readonly informationServers: InformationServers;
  readonly names: BrokerNames;
  readonly mostRedeliveries: number;
}

/** One file server's reading of its queue: a channel after the other, until it is stopped. */
export class BrokerSubscription {
  readonly #parts: Parts;
  readonly #consumer: EventConsumer;
  readonly #signal: AbortSignal;
  readonly #connection: BrokerConnection;
  readonly #deliveries: Deliveries;
  #position: number;
  #rest = FIRST_REST;
  #turn = 0;
  #askNext = 0;
  /** The queue did not answer last time. */
  #isStuck = false;

  constructor(parts: Parts, consumer: EventConsumer, signal: AbortSignal) {
    this.#parts = parts;
    this.#signal = signal;
    this.#consumer = consumer;
    this.#position = consumer.after;
    this.#deliveries = new Deliveries(consumer, signal);
    const name = `headwater file server ${parts.server.id}`;
    this.#connection = new BrokerConnection(parts.url, name, (state, cause) => {
      if (state === 'away') consumer.state?.('away', cause);
    });
  }

  async run(): Promise<void> {
    const signal = this.#signal;
    while (!signal.aborted) {
      try {
        await this.#session();
      } catch (error) {
        if (!signal.aborted) this.#consumer.state?.('away', error);
        await this.#doWithout();
      }
      const rest = this.#rest * (0.5 + Math.random() / 2);
      this.#rest = Math.min(MOST_REST, this.#rest * 2);
      await sleep(rest, undefined, { signal }).catch(() => undefined);
    }
    await this.#connection.close();
  }

  /** While the broker is away the information servers are asked now and then: a revocation is late, and comes. */
  async #doWithout(): Promise<void> {
    if (performance.now() < this.#askNext || this.#signal.aborted) return;
    await this.#catchUp(this.#signal);
    this.#askNext = performance.now() + ASK_EVERY * (0.5 + Math.random());
  }

  /** From opening a channel until it, or the queue, is gone. */
  async #session(): Promise<void> {
    const signal = this.#signal;
    const channel = await this.#ready();
    const ending = new AbortController();
    const over = AbortSignal.any([signal, ending.signal]);
    const end = (): void => ending.abort();
    channel.once('close', end);
    channel.once('basic.cancel', end);
    try {
      const inbox = new Inbox(over);
      // The queue is bound by now: what is told from here on is in it, and what was told before is asked for.
      const isWhole = await this.#catchUp(over);
      const queue = this.#parts.names.queueOf(this.#parts.server.id);
      await this.#answered(
        (async () => {
          await channel.basicQos({ prefetchCount: PREFETCHED });
          await channel.basicConsume({ queue }, (message) => inbox.put(message));
        })(),
        over,
      );
      this.#consumer.state?.('connected');
      this.#rest = FIRST_REST;
      await this.#work(channel, inbox, { isWhole, over });
    } finally {
      void channel.close();
    }
  }

  async #ready(): Promise<Channel> {
    const { names, server, mostRedeliveries } = this.#parts;
    let channel = await this.#connection.channel();
    try {
      if (this.#isStuck) {
        await this.#answered(channel.queueDelete({ queue: names.queueOf(server.id) }), this.#signal);
        this.#isStuck = false;
      }
      await declareExchanges(channel, names);
      try {
        await declareServerQueue(channel, names, server, mostRedeliveries);
      } catch (error) {
        if ((error as { code?: string }).code !== 'PRECONDITION_FAILED') throw error;
        // A queue of an earlier version, with other limits. What is in it is asked for again.
        channel = await this.#connection.channel();
        await channel.queueDelete({ queue: names.queueOf(server.id) });
        await declareServerQueue(channel, names, server, mostRedeliveries);
      }
      return channel;
    } catch (error) {
      void channel.close();
      throw brokerError(error);
    }
  }

  /**
   * Does what the information servers have told since the last position. False when none of them answers: what is in the
   * queue is done all the same, and the rest is asked for later.
   */
  async #catchUp(over: AbortSignal): Promise<boolean> {
    const { informationServers } = this.#parts;
    const addresses = informationServers.addresses();
    for (const _ of addresses) {
      const address = addresses[this.#turn % addresses.length] ?? '';
      try {
        const request = { after: this.#position, follow: false, signal: over };
        for await (const line of openStream(informationServers, address, request)) {
          if (line.id !== undefined) {
            const outcome = await this.#deliveries.deliver(line);
            if (outcome.is === 'stopped') return false;
            if (outcome.is === 'given-up')
              await tellGivenUp(informationServers, address, {
                event: line,
                cause: outcome.cause,
                signal: over,
              });
          }
          this.#reach(line.position);
        }
        return !over.aborted;
      } catch (error) {
        if (over.aborted) return false;
        this.#consumer.state?.('away', error);
        this.#turn++;
      }
    }
    return false;
  }

  async #work(
    channel: Channel,
    inbox: Inbox,
    { isWhole, over }: { isWhole: boolean; over: AbortSignal },
  ): Promise<void> {
    let whole = isWhole;
    let rest = FIRST_REST;
    for (;;) {
      const message = await inbox.take(whole ? undefined : rest);
      if (over.aborted) return;
      if (message !== undefined) await this.#settle(channel, message, whole);
      else if (!whole) {
        whole = await this.#catchUp(over);
        rest = Math.min(MOST_REST, rest * 2);
      }
    }
  }

  async #settle(channel: Channel, { body, deliveryTag }: AsyncMessage, isWhole: boolean): Promise<void> {
    const event = eventIn(body);
    if (event === undefined) {
      // Nothing that the fleet has sent.
      channel.basicNack({ deliveryTag, requeue: false });
      return;
    }
    const isMine = event.audience === undefined || isFor(event.audience, this.#parts.server);
    const outcome = isMine ? await this.#deliveries.deliver(event) : { is: 'done' as const };
    if (outcome.is === 'stopped') return;
    // On a channel that is gone nothing is acknowledged: it comes again, and is known.
    if (channel.active && outcome.is === 'done') channel.basicAck({ deliveryTag });
    else if (channel.active) channel.basicNack({ deliveryTag, requeue: false });
    // While something earlier may be missing it is not said that all is done.
    if (isWhole && event.position > this.#position) this.#reach(event.position);
  }

  /** What the broker answers about the queue, in time. */
  async #answered<T>(answer: Promise<T>, over: AbortSignal): Promise<T> {
    const { promise, reject } = Promise.withResolvers<never>();
    const end = (): void =>
      reject(new HeadwaterError('HW_BROKER', 'the connection to the message broker is gone'));
    const timer = setTimeout(() => {
      this.#isStuck = true;
      reject(
        new HeadwaterError('HW_BROKER', 'the queue at the message broker does not answer: it is made anew'),
      );
    }, QUEUE_PATIENCE);
    over.addEventListener('abort', end, { once: true });
    answer.catch(() => undefined);
    try {
      return await Promise.race([answer, promise]);
    } finally {
      clearTimeout(timer);
      over.removeEventListener('abort', end);
    }
  }

  #reach(position: number): void {
    this.#position = position;
    this.#consumer.done(position);
  }
}

type Message = StreamedEvent & { readonly audience?: Parameters<typeof isFor>[0] };

function eventIn(body: unknown): Message | undefined {
  const event = body as Partial<Message> | null;
  const isEvent =
    typeof event === 'object' &&
    typeof event?.id === 'string' &&
    typeof event.kind === 'string' &&
    Number.isSafeInteger(event.position);
  return isEvent ? (event as Message) : undefined;
}

/** Messages that came and are not done; the broker hands over no more than it was told to. */
class Inbox {
  readonly #over: AbortSignal;
  readonly #messages: AsyncMessage[] = [];
  #wake: (() => void) | undefined;

  constructor(over: AbortSignal) {
    this.#over = over;
    over.addEventListener('abort', () => this.#wake?.(), { once: true });
  }

  put(message: AsyncMessage): void {
    this.#messages.push(message);
    this.#wake?.();
  }

  /** The next one; undefined when it is over, or after so many milliseconds. */
  async take(patience?: number): Promise<AsyncMessage | undefined> {
    if (this.#messages.length === 0 && !this.#over.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = patience === undefined ? undefined : setTimeout(resolve, patience);
      this.#wake = resolve;
      await promise;
      this.#wake = undefined;
      clearTimeout(timer);
    }
    return this.#over.aborted ? undefined : this.#messages.shift();
  }
}
