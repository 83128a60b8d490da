import assert from 'node:assert/strict';
import { it } from 'node:test';

import { MOST_DELIVERIES } from '../../src/events/event-feed.ts';
import { eventsOf } from '../information-server/servers/file-server.ts';
import { series, tell, Told, type FeedLab } from './feed-lab.ts';

/** What every way of telling file servers of events must keep to. */
export function feedContract(make: () => Promise<FeedLab>): void {
  it('tells of events in their order, those of before it was there first', async () => {
    await using lab = await make();
    const server = await lab.join('one');
    const told = new Told(server.position);
    await tell(lab, series('before', 5));
    told.start(lab.feedOf(server));
    await told.until(() => told.names.length >= 5);
    await tell(lab, series('after', 5));
    await told.until(() => told.names.length >= 10);
    await told.stop();
    assert.deepEqual(told.names, [...series('before', 5), ...series('after', 5)]);
    assert.equal(told.position, told.events.at(-1)?.position);
  });

  it('tells each server what is for it, its zone or all, and nothing of people', async () => {
    await using lab = await make();
    const east = await lab.join('one', 'east');
    const west = await lab.join('two', 'west');
    const tolds = [east, west].map((server) => {
      const told = new Told(server.position);
      told.start(lab.feedOf(server));
      return told;
    });
    await tell(lab, ['east'], { zone: 'east' });
    await tell(lab, ['people'], 'people');
    await tell(lab, ['second'], { servers: [west.id] });
    await tell(lab, ['both'], { servers: [west.id, east.id] });
    await tell(lab, ['all']);
    await Promise.all(tolds.map((told) => told.until(() => told.names.includes('all'))));
    await Promise.all(tolds.map((told) => told.stop()));
    assert.deepEqual(
      tolds.map(({ names }) => names),
      [
        ['east', 'both', 'all'],
        ['second', 'both', 'all'],
      ],
    );
  });

  it('goes on where the work was done when the process is started again, and loses nothing between', async () => {
    await using lab = await make();
    const server = await lab.join('one');
    const first = new Told(server.position);
    first.start(lab.feedOf(server));
    await tell(lab, series('a', 3));
    await first.until(() => first.names.length === 3);
    await first.stop();
    await tell(lab, series('b', 3));
    const second = new Told(first.position);
    second.start(lab.feedOf(server));
    await second.until(() => second.names.includes('b-3'));
    await second.stop();
    assert.deepEqual(
      second.names.filter((name) => name.startsWith('b')),
      series('b', 3),
    );
  });

  it('says that an event is done only after its work: one cut short comes again', async () => {
    await using lab = await make();
    const server = await lab.join('one');
    const first = new Told(server.position);
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    const { promise: cut, reject } = Promise.withResolvers<never>();
    first.before = async ({ data }) => {
      if (data['name'] !== 'a-2') return;
      begin();
      await cut;
    };
    first.start(lab.feedOf(server));
    await tell(lab, series('a', 3));
    await begun;
    const stopped = first.stop();
    reject(new Error('the process was stopped'));
    await stopped;
    const second = new Told(first.position);
    second.start(lab.feedOf(server));
    await second.until(() => second.names.includes('a-3'));
    await second.stop();
    assert.ok(second.names.includes('a-2'));
  });

  it('tries work that fails again, and does it once', async () => {
    await using lab = await make();
    const server = await lab.join('one');
    const told = new Told(server.position);
    let tries = 0;
    told.before = async ({ data }) => {
      if (data['name'] === 'a-2' && ++tries < 3) throw new Error('not now');
    };
    told.start(lab.feedOf(server));
    await tell(lab, series('a', 3));
    await told.until(() => new Set(told.names).size === 3);
    await told.stop();
    assert.equal(tries, 3);
    assert.deepEqual(told.names.toSorted(), series('a', 3));
  });

  it('gives up on an event whose work always fails, tells the operator, and goes on', async () => {
    await using lab = await make();
    const server = await lab.join('one');
    const told = new Told(server.position);
    let tries = 0;
    told.before = async ({ data }) => {
      if (data['name'] !== 'poison') return;
      tries++;
      throw new Error('never');
    };
    told.start(lab.feedOf(server));
    await tell(lab, ['poison', 'good']);
    await told.until(() => told.names.includes('good') && told.gaveUp.length > 0);
    assert.deepEqual([told.gaveUp, tries], [['poison'], MOST_DELIVERIES]);
    await lab.until(async () => (await eventsOf(lab.fleet, 'event.dead-lettered')).length > 0);
    const [letter] = await eventsOf(lab.fleet, 'event.dead-lettered');
    assert.deepEqual([letter?.['name'], letter?.['kind']], ['one', 'file.renamed']);
    assert.match(String((await lab.fleet.ask('GET', '/metrics')).body), /^headwater_dead_letters 1$/m);
    await told.stop();
  });

  it('takes in many at once from several servers', async () => {
    await using lab = await make();
    const servers = await Promise.all(series('server', 5).map((name) => lab.join(name)));
    const tolds = servers.map((server) => {
      const told = new Told(server.position);
      told.start(lab.feedOf(server));
      return told;
    });
    await Promise.all(series('w', 4).map((writer) => tell(lab, series(writer, 50))));
    await Promise.all(tolds.map((told) => told.until(() => new Set(told.names).size === 200)));
    await Promise.all(tolds.map((told) => told.stop()));
    for (const told of tolds) assert.equal(told.names.length, 200);
  });
}
