import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';

import type { DatabaseKind } from '../../src/database/database.ts';
import { embeddedFeed } from '../../src/events/embedded-feed.ts';
import { onEachKind } from '../information-server/each-kind.ts';
import { FileServer } from '../information-server/servers/file-server.ts';
import { startTestServer } from '../information-server/start.ts';
import { feedContract } from './feed-contract.ts';
import { series, tell, Told, untilSo, type FeedLab } from './feed-lab.ts';

async function embeddedLab(kind: DatabaseKind): Promise<FeedLab> {
  const fleet = await startTestServer(kind);
  return {
    fleet,
    join: async (name, zone = 'east') => {
      const server = new FileServer(fleet, name);
      await server.register({ zone });
      return server;
    },
    feedOf: ({ id, token }) => embeddedFeed({ addresses: () => [fleet.url], id, token: () => token }),
    until: (isSo) => untilSo(fleet, isSo),
    [Symbol.asyncDispose]: () => fleet[Symbol.asyncDispose](),
  };
}

onEachKind('events from the information server', (kind) => {
  describe('as every feed', () => feedContract(() => embeddedLab(kind)));

  it('come from another information server when the first one goes, in the middle of many', async () => {
    await using lab = await embeddedLab(kind);
    const { fleet } = lab;
    const other = await fleet.another();
    const { id, token, position } = await lab.join('one');
    const told = new Told(position);
    const connected = once(told, 'connected');
    told.start(embeddedFeed({ addresses: () => [other.url, fleet.url], id, token: () => token }));
    await connected;
    await tell(lab, series('a', 20));
    await told.until(() => told.names.length >= 10);
    await Promise.all([other.close(), tell(lab, series('b', 20))]);
    await told.until(() => told.names.includes('b-20'));
    await told.stop();
    assert.deepEqual(told.names, [...series('a', 20), ...series('b', 20)]);
  });

  it('end at once, and cleanly, when the information server stops', async () => {
    await using fleet = await startTestServer(kind);
    const server = new FileServer(fleet, 'one');
    await server.register();
    const response = await fetch(`${fleet.url}/v1/servers/${server.id}/events?after=${server.position}`, {
      headers: { authorization: `Bearer ${server.token}` },
    });
    const text = response.text();
    await fleet.server.close();
    assert.deepEqual(JSON.parse(await text), { position: server.position });
  });

  it('go back with a database that was put back to an earlier state', async () => {
    await using lab = await embeddedLab(kind);
    const server = await lab.join('one');
    const told = new Told(server.position + 1_000_000);
    told.start(lab.feedOf(server));
    await told.until(() => told.position < 1_000_000);
    await tell(lab, ['a']);
    await told.until(() => told.names.includes('a'));
    await told.stop();
  });

  it('are refused to another server, and without a position', async () => {
    await using lab = await embeddedLab(kind);
    const one = await lab.join('one');
    const two = await lab.join('two');
    const path = (query: string): string => `/v1/servers/${one.id}/events${query}`;
    const answers = [
      await lab.fleet.ask('GET', path('?after=0'), undefined, two.token),
      await lab.fleet.ask('GET', path('?after=0'), undefined, null),
      await lab.fleet.ask('GET', path('?after=0'), undefined, lab.fleet.admin),
      await lab.fleet.ask('GET', path(''), undefined, one.token),
      await lab.fleet.ask('GET', path('?after=-1'), undefined, one.token),
      await lab.fleet.ask('GET', path('?after=0&since=2'), undefined, one.token),
    ];
    assert.deepEqual(
      answers.map(({ status }) => status),
      [403, 401, 401, 400, 400, 400],
    );
  });

  it('wait for a slow reader, which falls back on the database and loses nothing', async () => {
    await using lab = await embeddedLab(kind);
    const server = await lab.join('slow');
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    const told = new Told(server.position);
    told.before = () => gate;
    const connected = once(told, 'connected');
    told.start(lab.feedOf(server));
    await connected;
    await Promise.all(series('writer', 20).map((writer) => tell(lab, series(writer, 150))));
    open();
    await told.until(() => told.names.length >= 3_000);
    await told.stop();
    assert.equal(new Set(told.names).size, 3_000);
    assert.equal(told.names.length, 3_000);
  });
});
