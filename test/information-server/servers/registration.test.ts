import assert from 'node:assert/strict';
import { it } from 'node:test';

import { onEachKind } from '../each-kind.ts';
import { startTestServer } from '../start.ts';
import { eventsOf, FileServer, filesOf, madeUp } from './file-server.ts';

interface Body {
  readonly id: string;
  readonly code: string;
  readonly token: string;
  readonly wanted: string;
  readonly holdingsVersion: number;
  readonly details: Record<string, unknown>;
}

onEachKind('registering a file server', (kind) => {
  it('gives it an id, a token, the keys of the fleet and where events go on from', async () => {
    await using fleet = await startTestServer(kind);
    const one = new FileServer(fleet, 'one');
    const { status, body } = await one.register();
    assert.equal(status, 200);
    const { keys, position, informationServers, wanted, events } = body as Record<string, unknown>;
    assert.equal((keys as { keys: unknown[] }).keys.length, 1);
    assert.ok((position as number) > 0);
    assert.deepEqual(informationServers, [fleet.url]);
    assert.deepEqual([wanted, events], ['running', 'embedded']);
    assert.equal((await one.beat()).status, 200);
    assert.equal((await eventsOf(fleet, 'server.joined')).length, 1);
  });

  it('is written down, with where from, when the fleet learns something by it', async () => {
    await using fleet = await startTestServer(kind);
    const one = new FileServer(fleet, 'one');
    const { id } = (await one.register()).body as Body;
    one.instance++;
    await one.register({ id }, one.token);
    one.instance++;
    await one.register({ id, url: 'http://elsewhere.test:1' });
    const lines = await fleet.database.queries
      .selectFrom('audit')
      .select(['actor', 'address', 'subject', 'details'])
      .where('action', '=', 'server.registered')
      .orderBy('id')
      .execute();
    assert.deepEqual(
      lines.map(({ actor, address, subject }) => [actor, address, subject]),
      Array.from({ length: 2 }, () => ['one', '127.0.0.1', id]),
    );
    const [joined, taken] = lines.map(({ details }) => JSON.parse(details) as Record<string, unknown>);
    assert.deepEqual([joined?.['again'], taken?.['again']], [false, true]);
    assert.equal(taken?.['url'], 'http://elsewhere.test:1');
  });

  it('takes neither a wrong token nor none', async () => {
    await using fleet = await startTestServer(kind);
    const one = new FileServer(fleet, 'one');
    assert.equal(((await one.register({}, 'guessed')).body as Body).code, 'HW_TOKEN_INVALID');
    const without = await fleet.ask('POST', '/v1/servers', one.registration(), null);
    assert.equal((without.body as Body).code, 'HW_TOKEN_MISSING');
    assert.equal(((await one.register({}, fleet.admin)).body as Body).code, 'HW_TOKEN_INVALID');
  });

  it('gives a process that asks again, because the answer was lost, the same server', async () => {
    await using fleet = await startTestServer(kind);
    const one = new FileServer(fleet, 'one');
    const first = (await one.register()).body as Body;
    const again = (await one.register()).body as Body;
    assert.equal(again.id, first.id);
    assert.equal((await one.beat()).status, 200);
    one.token = first.token;
    assert.equal((await one.beat()).status, 401);
    assert.equal((await eventsOf(fleet, 'server.joined')).length, 1);
  });

  it('gives the same server to a process that asks two information servers at once', async () => {
    await using fleet = await startTestServer(kind);
    const other = await fleet.another();
    const one = new FileServer(fleet, 'one');
    const ask = (url: string): Promise<Response> =>
      fetch(`${url}/v1/servers`, {
        method: 'POST',
        headers: { authorization: `Bearer ${fleet.joinToken}`, 'content-type': 'application/json' },
        body: JSON.stringify(one.registration()),
      });
    const answers = await Promise.all([ask(fleet.url), ask(other.url), ask(fleet.url)]);
    const ids = await Promise.all(answers.map(async (each) => ((await each.json()) as Body).id));
    assert.equal(new Set(ids).size, 1);
  });

  it('knows it again by its own token, with what it held and what was wanted of it', async () => {
    await using fleet = await startTestServer(kind);
    const one = new FileServer(fleet, 'one');
    const { id, token } = (await one.register()).body as Body;
    await one.hold(7, [madeUp('a')]);
    await fleet.ask('POST', '/v1/servers/one/pause');
    one.instance += 1;
    const back = (await one.register({ id, name: 'renamed', zone: 'west' }, token)).body as Body;
    assert.deepEqual([back.id, back.token, back.holdingsVersion, back.wanted], [id, token, 7, 'paused']);
    const { body } = await fleet.ask('GET', '/v1/servers/renamed');
    const { state, files, zone } = body as Record<string, unknown>;
    assert.deepEqual([state, files, zone], ['paused', 1, 'west']);
  });

  it('lets the later of two processes with one id win, and refuses all that the older one says', async () => {
    await using fleet = await startTestServer(kind);
    const old = new FileServer(fleet, 'one', 1_000);
    await old.register();
    const young = new FileServer(fleet, 'one', 2_000);
    await young.register({ id: old.id }, old.token);
    await young.hold(5, [madeUp('new')]);
    const refusals = [
      await old.beat(),
      await old.announce({ from: 0, to: 9, added: [] }),
      await old.register({ id: old.id }, old.token),
    ];
    for (const { status, body } of refusals) {
      assert.deepEqual([status, (body as Body).code], [409, 'HW_SUPERSEDED']);
    }
    assert.deepEqual([...(await filesOf(fleet)).keys()], ['new']);
    assert.equal((await young.beat()).status, 200);
  });

  it('takes a server that kept its id back when the fleet has lost its database', async () => {
    await using fleet = await startTestServer(kind);
    const one = new FileServer(fleet, 'one');
    const id = '0193a7c4-0000-7000-8000-000000000001';
    assert.equal(((await one.register({ id }, 'hws_of-before')).body as Body).code, 'HW_TOKEN_INVALID');
    const { body } = await one.register({ id });
    assert.deepEqual([(body as Body).id, (body as Body).holdingsVersion], [id, 0]);
  });

  it('keeps a name for whoever living has it, and gives it away once that has stopped', async () => {
    await using fleet = await startTestServer(kind);
    const first = new FileServer(fleet, 'one', 1_000);
    await first.register();
    await first.hold(3, [madeUp('a')]);
    const second = new FileServer(fleet, 'one', 2_000);
    const refused = (await second.register()).body as Body;
    assert.deepEqual([refused.code, refused.details['field']], ['HW_CONFLICT', 'name']);
    await first.beat({ state: 'stopped' });
    assert.equal((await second.register()).status, 200);
    assert.notEqual(second.id, first.id);
    first.instance += 5_000;
    assert.equal(((await first.register({ id: first.id }, first.token)).body as Body).code, 'HW_CONFLICT');
    const back = (await first.register({ id: first.id, name: 'three' }, first.token)).body as Body;
    assert.equal(back.holdingsVersion, 3);
    const mine = (await fleet.ask('GET', '/v1/servers/one')).body as Record<string, unknown>;
    assert.deepEqual([mine['id'], mine['files']], [second.id, 0]);
  });

  it('lets a server that was told to stop, and was started again, run', async () => {
    await using fleet = await startTestServer(kind);
    const one = new FileServer(fleet, 'one');
    await one.register();
    await fleet.ask('POST', '/v1/servers/one/stop');
    assert.equal(((await one.beat()).body as Body).wanted, 'stopped');
    await one.beat({ state: 'stopped' });
    one.instance += 1;
    const back = (await one.register({ id: one.id }, one.token)).body as Body;
    assert.equal(back.wanted, 'running');
  });

  it('lets a server speak for itself only', async () => {
    await using fleet = await startTestServer(kind);
    const one = new FileServer(fleet, 'one');
    const two = new FileServer(fleet, 'two');
    await one.register();
    await two.register();
    two.id = one.id;
    assert.equal((await two.announce({ from: 0, to: 1 })).status, 403);
    assert.equal((await two.beat()).status, 401);
    assert.equal((await two.put(madeUp('a'))).status, 403);
  });
});
