import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

import { Connection } from 'rabbitmq-client';

import type { DatabaseKind } from '../../src/database/database.ts';
import { brokerFeed } from '../../src/events/rabbitmq/broker-feed.ts';
import { brokerAt, type BrokerNames } from '../../src/events/rabbitmq/broker-names.ts';
import { TIMES } from '../../src/information-server/settings.ts';
import { FileServer } from '../information-server/servers/file-server.ts';
import { startTestServer } from '../information-server/start.ts';
import { untilSo, type FeedLab } from './feed-lab.ts';

/** Where tests find a RabbitMQ. */
const AMQP = process.env['HEADWATER_TEST_AMQP'] ?? 'amqp://guest:guest@127.0.0.1:5672';

/** Why tests with RabbitMQ are skipped; false where there is one. */
export const withoutBroker = await reach();

/** A way to the broker that can be cut, stalled and opened again. */
export class BrokerProxy implements AsyncDisposable {
  readonly #server: Server;
  readonly #broker: URL;
  readonly #sockets = new Set<Socket>();
  #isOpen = true;
  #isStalled = false;

  private constructor(server: Server, broker: URL) {
    this.#server = server;
    this.#broker = broker;
  }

  static async open(broker: string): Promise<BrokerProxy> {
    const server = createServer();
    const proxy = new BrokerProxy(server, new URL(broker));
    server.on('connection', (socket) => proxy.#join(socket));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Resets every connection, and each new one until it is opened again: the broker is down. */
  cut(): void {
    this.#isOpen = false;
    this.reset();
  }

  /** Resets every connection; new ones are taken. */
  reset(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  reopen(): void {
    this.#isOpen = true;
  }

  /** Lets nothing through, and keeps the connections: the broker hangs. */
  stall(): void {
    this.#isStalled = true;
    for (const socket of this.#sockets) socket.pause();
  }

  flow(): void {
    this.#isStalled = false;
    for (const socket of this.#sockets) socket.resume();
  }

  #join(near: Socket): void {
    if (!this.#isOpen) {
      near.resetAndDestroy();
      return;
    }
    const { hostname, port } = this.#broker;
    const far = connect(Number(port === '' ? 5672 : port), hostname);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(one);
      one.on('data', (data) => other.write(data));
      one.on('error', () => undefined);
      one.on('close', () => {
        this.#sockets.delete(one);
        other.destroy();
      });
      if (this.#isStalled) one.pause();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    this.cut();
    await once(this.#server, 'close');
  }
}

export interface BrokerLab extends FeedLab {
  readonly names: BrokerNames;
  /** Between the fleet and the broker. */
  readonly proxy: BrokerProxy;
  /** The address that the fleet has of the broker. */
  readonly url: string;
  /** The test's own connection, straight to the broker. */
  readonly rabbit: Connection;
  feedOf(server: FileServer, mostRedeliveries?: number): ReturnType<typeof brokerFeed>;
  /** Waits until everything was relayed. */
  relayed(): Promise<void>;
}

/** A fleet with a message broker, under names of its own. */
export async function brokerLab(kind: DatabaseKind, broker = AMQP): Promise<BrokerLab> {
  const prefix = `hw-test-${randomBytes(5).toString('hex')}`;
  const proxy = await BrokerProxy.open(broker);
  const address = new URL(broker);
  address.port = String(proxy.port);
  address.hostname = '127.0.0.1';
  address.searchParams.set('prefix', prefix);
  const url = address.href;
  const { names } = brokerAt(url);
  const rabbit = new Connection(broker);
  rabbit.on('error', () => undefined);
  const fleet = await startTestServer(kind, { broker: url, times: { ...TIMES, lease: 1 } });
  const joined: FileServer[] = [];
  const until: FeedLab['until'] = (isSo) => untilSo(fleet, isSo);
  const { queries } = fleet.database;
  const relayed = async (): Promise<void> => {
    const newest = await queries
      .selectFrom('events')
      .select(({ fn }) => fn.max('position').as('position'))
      .executeTakeFirstOrThrow();
    await until(async () => {
      const relay = await queries.selectFrom('relays').select('position').executeTakeFirst();
      return (relay?.position ?? -1) >= newest.position;
    });
  };
  // The relay begins with what comes after its first look.
  await until(async () => (await queries.selectFrom('relays').select('name').execute()).length > 0);
  return {
    fleet,
    names,
    proxy,
    url,
    rabbit,
    until,
    relayed,
    join: async (name, zone = 'east') => {
      const server = new FileServer(fleet, name);
      await server.register({ zone });
      server.zone = zone;
      joined.push(server);
      return server;
    },
    feedOf: ({ id, token, zone }, mostRedeliveries) =>
      brokerFeed({
        url,
        server: { id, zone },
        informationServers: { addresses: () => [fleet.url], id, token: () => token },
        mostRedeliveries,
      }),
    async [Symbol.asyncDispose]() {
      await fleet[Symbol.asyncDispose]();
      await proxy[Symbol.asyncDispose]();
      for (const { id } of joined) await rabbit.queueDelete({ queue: names.queueOf(id) });
      await rabbit.queueDelete({ queue: names.deadQueue });
      await rabbit.exchangeDelete({ exchange: names.exchange });
      await rabbit.exchangeDelete({ exchange: names.deadExchange });
      await rabbit.close();
    },
  };
}

async function reach(): Promise<string | false> {
  const rabbit = new Connection({ url: AMQP, connectionTimeout: 3_000 });
  rabbit.on('error', () => undefined);
  try {
    await rabbit.onConnect(3_000, true);
    return false;
  } catch (error) {
    const { host } = new URL(AMQP);
    return `no RabbitMQ at ${host}: ${error instanceof Error ? error.message : String(error)}`;
  } finally {
    await rabbit.close();
  }
}
