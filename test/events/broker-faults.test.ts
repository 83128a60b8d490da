import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';

import { brokerFeed } from '../../src/events/rabbitmq/broker-feed.ts';
import { eventsOf } from '../information-server/servers/file-server.ts';
import { TIMES } from '../../src/information-server/settings.ts';
import { brokerLab, withoutBroker, type BrokerLab } from './broker-lab.ts';
import { series, tell, Told } from './feed-lab.ts';

/** A file server that follows its events, connected. */
async function following(lab: BrokerLab, name = 'one'): Promise<Told & { id: string }> {
  const server = await lab.join(name);
  const told = Object.assign(new Told(server.position), { id: server.id });
  const connected = once(told, 'connected');
  told.start(lab.feedOf(server));
  await connected;
  return told;
}

/** Everything came, in order, and each was done once. */
function assertTold(told: Told, names: readonly string[]): void {
  assert.deepEqual(told.names, names);
}

describe('events through RabbitMQ', { skip: withoutBroker }, () => {
  it('wait while the broker is down, which the fleet survives, and come when it is back', async () => {
    await using lab = await brokerLab('sqlite');
    const told = await following(lab);
    await tell(lab, series('before', 5));
    await told.until(() => told.names.length === 5);
    const away = once(told, 'away');
    lab.proxy.cut();
    await away;
    await tell(lab, series('during', 20));
    const { body, status } = await lab.fleet.ask('GET', '/readyz');
    const { ready, broker } = body as Record<string, unknown>;
    assert.deepEqual([status, ready, broker], [200, true, false]);
    assert.match(String((await lab.fleet.ask('GET', '/metrics')).body), /headwater_events_waiting [1-9]/);
    lab.proxy.reopen();
    await tell(lab, series('after', 5));
    await told.until(() => told.names.length >= 30);
    await lab.relayed();
    await told.stop();
    assertTold(told, [...series('before', 5), ...series('during', 20), ...series('after', 5)]);
  });

  it('come from the information servers, if late, for as long as the broker is down', async () => {
    await using lab = await brokerLab('sqlite');
    const told = await following(lab);
    const away = once(told, 'away');
    lab.proxy.cut();
    await away;
    await tell(lab, series('a', 3));
    await told.until(() => told.names.length >= 3);
    lab.proxy.reopen();
    await lab.relayed();
    await tell(lab, ['b']);
    await told.until(() => told.names.includes('b'));
    await told.stop();
    assertTold(told, [...series('a', 3), 'b']);
  });

  it('are all passed on when connections break again and again in the middle of publishing', async () => {
    await using lab = await brokerLab('sqlite');
    const told = await following(lab);
    const rounds = series('round', 6);
    for (const round of rounds) {
      await tell(lab, series(round, 40));
      lab.proxy.reset();
    }
    await told.until(() => new Set(told.names).size === 240);
    await lab.relayed();
    await told.stop();
    assertTold(
      told,
      rounds.flatMap((round) => series(round, 40)),
    );
  });

  it('come late from a broker that hangs, and then all', async () => {
    await using lab = await brokerLab('sqlite');
    const told = await following(lab);
    lab.proxy.stall();
    await tell(lab, series('a', 50));
    const before = await lab.fleet.ask('GET', '/v1/servers');
    assert.equal(before.status, 200);
    assert.deepEqual(told.names, []);
    lab.proxy.flow();
    await told.until(() => told.names.length >= 50);
    await told.stop();
    assertTold(told, series('a', 50));
  });

  it('are not lost with the queue: deleted while it is read, and while nobody reads it', async () => {
    await using lab = await brokerLab('sqlite');
    const told = await following(lab);
    const queue = lab.names.queueOf(told.id);
    let open = (): void => undefined;
    const gate = new Promise<void>((resolve) => (open = resolve));
    told.before = () => gate;
    await tell(lab, series('a', 100));
    await lab.relayed();
    const connected = once(told, 'connected');
    await lab.rabbit.queueDelete({ queue });
    open();
    await connected;
    await told.until(() => told.names.length >= 100);
    await told.stop();
    await tell(lab, series('b', 30));
    await lab.relayed();
    await lab.rabbit.queueDelete({ queue });
    const server = { id: told.id, zone: 'east' };
    const { token } = await tokenOf(lab, told.id);
    told.start(
      brokerFeed({
        url: lab.url,
        server,
        informationServers: { addresses: () => [lab.fleet.url], id: told.id, token: () => token },
      }),
    );
    await told.until(() => told.names.length >= 130);
    await tell(lab, ['c']);
    await told.until(() => told.names.includes('c'));
    await told.stop();
    assertTold(told, [...series('a', 100), ...series('b', 30), 'c']);
  });

  it('are done once when they come twice, and in another order', async () => {
    await using lab = await brokerLab('sqlite');
    const told = await following(lab);
    const { queries } = lab.fleet.database;
    await tell(lab, series('a', 30));
    await lab.relayed();
    // The relay's last position was lost: what it has published is published again.
    await queries.updateTable('relays').set({ position: 0 }).execute();
    const next = await lab.fleet.another();
    await lab.fleet.server.close();
    await told.until(() => told.names.length >= 30);
    // Copies, the newest first.
    const events = await queries
      .selectFrom('events')
      .selectAll()
      .where('kind', '=', 'file.renamed')
      .execute();
    const publisher = lab.rabbit.createPublisher({ confirm: true });
    for (const { id, position, kind, at, data } of events.toReversed()) {
      const event = { id, position, kind, at: new Date(at).toISOString(), data: JSON.parse(data) as unknown };
      await publisher.send({ exchange: lab.names.exchange, routingKey: `all.all.${kind}` }, event);
    }
    const last = { id: crypto.randomUUID(), position: 1, kind: 'x', at: '', data: { name: 'last' } };
    await publisher.send({ exchange: lab.names.exchange, routingKey: 'all.all.x' }, last);
    await publisher.close();
    await told.until(() => told.names.includes('last'));
    await told.stop();
    await next.close();
    assertTold(told, [...series('a', 30), 'last']);
    assert.ok(told.position >= (events.at(-1)?.position ?? 0), 'the position went back');
  });

  it('are passed on by the next leader when the first one goes in the middle', async () => {
    await using lab = await brokerLab('sqlite');
    const told = await following(lab);
    await lab.fleet.another({ times: { ...TIMES, lease: 1 } });
    const writing = tell(lab, series('a', 300));
    await told.until(() => told.names.length >= 10);
    await lab.fleet.server.close();
    await writing;
    await told.until(() => new Set(told.names).size === 300);
    await told.stop();
    assertTold(told, series('a', 300));
  });

  it('come through the broker alone while no information server answers a file server', async () => {
    await using lab = await brokerLab('sqlite');
    const first = await following(lab);
    await first.stop();
    await tell(lab, series('a', 5));
    await tell(lab, ['mine'], { servers: [first.id, crypto.randomUUID()] });
    await lab.relayed();
    first.start(
      brokerFeed({
        url: lab.url,
        server: { id: first.id, zone: 'east' },
        informationServers: { addresses: () => ['http://127.0.0.1:9'], id: first.id, token: () => 'x' },
      }),
    );
    const { position } = first;
    await first.until(() => first.names.length >= 6);
    await first.stop();
    assertTold(first, [...series('a', 5), 'mine']);
    assert.equal(first.position, position, 'it said that all is done without knowing of all');
  });

  it('are given up by the broker when whoever works on one is always gone in the middle', async () => {
    await using lab = await brokerLab('sqlite');
    const server = await lab.join('one');
    let deliveries = 0;
    const { promise: end, reject: endAll } = Promise.withResolvers<never>();
    const stops: Promise<void>[] = [];
    for (let life = 0; life < 3; life++) {
      const process = new Told(server.position);
      process.before = async () => {
        deliveries++;
        lab.proxy.reset();
        await end;
      };
      process.start(
        brokerFeed({
          url: lab.url,
          server: { id: server.id, zone: 'east' },
          informationServers: { addresses: () => [], id: server.id, token: () => 'x' },
          mostRedeliveries: 1,
        }),
      );
      if (life === 0) {
        await once(process, 'connected');
        await tell(lab, ['poison']);
      }
      await lab.until(
        async () => deliveries > life || (await eventsOf(lab.fleet, 'event.dead-lettered')).length > 0,
      );
      // Its work never ends: it is left behind as a process that was killed is.
      stops.push(process.stop());
    }
    await lab.until(async () => (await eventsOf(lab.fleet, 'event.dead-lettered')).length > 0);
    const [letter] = await eventsOf(lab.fleet, 'event.dead-lettered');
    assert.deepEqual([letter?.['server'], letter?.['why']], [server.id, 'delivery_limit']);
    assert.equal(deliveries, 2);
    endAll(new Error('killed'));
    await Promise.all(stops);
  });
});

/** A token for a server that is registered: a new process of it asks for one. */
async function tokenOf(lab: BrokerLab, id: string): Promise<{ token: string }> {
  const { body } = await lab.fleet.ask(
    'POST',
    '/v1/servers',
    { id, instance: 2_000, name: 'one', zone: 'east', url: 'http://one.test:1', version: '0.1.0' },
    lab.fleet.joinToken,
  );
  return body as { token: string };
}
