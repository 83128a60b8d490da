import assert from 'node:assert/strict';
import { it } from 'node:test';

import { TIMES } from '../../../src/information-server/settings.ts';
import { SilenceWatch } from '../../../src/information-server/servers/silence.ts';
import { untilSo } from '../../events/feed-lab.ts';
import { onEachKind } from '../each-kind.ts';
import { startTestServer, type TestServer } from '../start.ts';
import { eventsOf, FileServer, filesOf, madeUp } from './file-server.ts';

interface Body {
  readonly id: string;
  readonly code: string;
  readonly state: string;
  readonly wanted: string;
  readonly clockAhead: number;
  readonly items: { readonly name: string }[];
  readonly next: string | null;
}

async function stateOf(fleet: TestServer, name: string): Promise<string> {
  return ((await fleet.ask('GET', `/v1/servers/${name}`)).body as Body).state;
}

async function joined(fleet: TestServer, ...names: string[]): Promise<FileServer[]> {
  return Promise.all(
    names.map(async (name) => {
      const server = new FileServer(fleet, name);
      assert.equal((await server.register()).status, 200);
      return server;
    }),
  );
}

onEachKind('a server that is silent', (kind) => {
  it('is suspected, then dead, and back with its next heartbeat; one that stopped is neither', async () => {
    const times = { ...TIMES, suspectAfter: 0.5, deadAfter: 1 };
    await using fleet = await startTestServer(kind, { times });
    const [silent, stopped, lively] = await joined(fleet, 'silent', 'stopped', 'lively');
    assert.ok(silent && stopped && lively);
    await silent.hold(4, [madeUp('a')]);
    await stopped.beat({ state: 'stopped' });
    const beating = setInterval(() => void lively.beat(), 100);
    try {
      await untilSo(fleet, async () => (await stateOf(fleet, 'silent')) === 'dead');
      assert.deepEqual(await Promise.all(['stopped', 'lively'].map((name) => stateOf(fleet, name))), [
        'stopped',
        'running',
      ]);
    } finally {
      clearInterval(beating);
    }
    const { body } = await silent.beat({ state: 'paused' });
    assert.equal((body as { holdingsVersion: number }).holdingsVersion, 4);
    assert.equal(await stateOf(fleet, 'silent'), 'paused');
    const told = (await eventsOf(fleet, 'server.state')).filter(({ name }) => name === 'silent');
    assert.deepEqual(
      told.map(({ to, why }) => [to, why]),
      [
        ['suspected', 'silent'],
        ['dead', 'silent'],
        ['paused', 'heard'],
      ],
    );
  });
});

it('a leader that was away itself calls nobody silent for what it did not hear', () => {
  const watch = new SilenceWatch();
  const rows = [{ number: 1, last_seen_at: 1_000 }];
  watch.look(rows, 1, 0);
  assert.equal(watch.look(rows, 1, 3_000).get(1), 3_000);
  assert.equal(watch.look(rows, 1, 6_000).get(1), 6_000);
  assert.equal(watch.look(rows, 1, 26_000).get(1), 0, 'asleep for 20 s');
  assert.equal(watch.look(rows, 1, 28_000).get(1), 2_000);
  assert.equal(watch.look(rows, 2, 29_000).get(1), 0, 'another lead');
  assert.equal(
    watch.look([{ number: 1, last_seen_at: 900 }], 2, 30_000).get(1),
    0,
    'heard, by another clock',
  );
});

it('time in which heartbeats waited to be written is no silence', () => {
  const watch = new SilenceWatch();
  const rows = [{ number: 1, last_seen_at: 1_000 }];
  watch.look(rows, 1, 0);
  assert.equal(watch.look(rows, 1, 2_000).get(1), 2_000);
  for (let now = 4_000; now <= 20_000; now += 2_000)
    assert.equal(watch.look(rows, 1, now, false).get(1), 2_000);
  assert.equal(watch.look(rows, 1, 21_000).get(1), 3_000);
});

onEachKind('heartbeats', (kind) => {
  it('of 300 servers at once are written, each with its own figures', async () => {
    await using fleet = await startTestServer(kind);
    const servers = await joined(fleet, ...Array.from({ length: 300 }, (_, index) => `s${index}`));
    const answers = await Promise.all(
      servers.map((server, index) =>
        server.beat({ bytesSent: index, state: index % 2 === 0 ? 'running' : 'paused' }),
      ),
    );
    assert.ok(answers.every(({ status }) => status === 200));
    const rows = await fleet.database.queries
      .selectFrom('servers')
      .select(['name', 'bytes_sent', 'state'])
      .execute();
    for (const { name, bytes_sent: sent, state } of rows) {
      const index = Number(name.slice(1));
      assert.deepEqual([sent, state], [index, index % 2 === 0 ? 'running' : 'paused']);
    }
  });

  it('of which one is wrong spoil no other in the same batch', async () => {
    await using fleet = await startTestServer(kind);
    const [one, two, three] = await joined(fleet, 'one', 'two', 'three');
    assert.ok(one && two && three);
    two.token = 'wrong';
    three.instance -= 1;
    const answers = await Promise.all([one, two, three].map((server) => server.beat()));
    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 401, 409],
    );
  });

  it('with a clock that is 10 minutes off tell the operator once, and decide nothing', async () => {
    await using fleet = await startTestServer(kind);
    const [one] = await joined(fleet, 'one');
    assert.ok(one);
    for (const minutes of [10, 10, 0]) {
      const time = new Date(Date.now() + minutes * 60_000).toISOString();
      assert.equal((await one.beat({ time })).status, 200);
      const { clockAhead, state } = (await fleet.ask('GET', '/v1/servers/one')).body as Body;
      assert.ok(Math.abs(clockAhead - minutes * 60) < 30);
      assert.equal(state, 'running');
    }
    assert.deepEqual(
      (await eventsOf(fleet, 'server.clock')).map(({ right }) => right),
      [false, true],
    );
  });

  it('that are malformed are refused with the field', async () => {
    await using fleet = await startTestServer(kind);
    const [one] = await joined(fleet, 'one');
    assert.ok(one);
    const wrong: [string, unknown][] = [
      ['state', 'dead'],
      ['answers', -1],
      ['rate', '5'],
      ['time', 'now'],
      ['instance', 1.5],
      ['more', 1],
    ];
    for (const [field, value] of wrong) {
      const { status, body } = await one.beat({ [field]: value });
      assert.equal(status, 400, field);
      assert.equal((body as { details: { field: string } }).details.field, field);
    }
  });
});

onEachKind('operators', (kind) => {
  it('pause, resume, drain and stop a server, which it learns of, and which is written down', async () => {
    await using fleet = await startTestServer(kind);
    const [one] = await joined(fleet, 'one');
    assert.ok(one);
    const wanted = { pause: 'paused', resume: 'running', drain: 'draining', stop: 'stopped' };
    for (const [command, state] of Object.entries(wanted)) {
      const { status, body } = await fleet.ask(
        'POST',
        `/v1/servers/${command === 'stop' ? one.id : 'one'}/${command}`,
      );
      assert.deepEqual([status, (body as Body).wanted], [200, state]);
      assert.equal(((await one.beat()).body as Body).wanted, state);
    }
    const commands = await eventsOf(fleet, 'server.command');
    assert.deepEqual(
      commands.map(({ command, revision }) => [command, revision]),
      Object.keys(wanted).map((command, index) => [command, index + 1]),
    );
    const lines = await fleet.database.queries
      .selectFrom('audit')
      .select(['actor', 'subject'])
      .where('action', 'like', 'server.%')
      .where('action', '!=', 'server.registered')
      .execute();
    assert.deepEqual(
      lines.map(({ actor, subject }) => [actor, subject]),
      Array.from({ length: 4 }, () => ['admin@example.org', one.id]),
    );
  });

  it('alone may: readers and publishers look', async () => {
    await using fleet = await startTestServer(kind);
    await joined(fleet, 'one');
    for (const role of ['reader', 'publisher'] as const) {
      const { token } = await fleet.user(role);
      assert.equal((await fleet.ask('POST', '/v1/servers/one/pause', undefined, token)).status, 403);
      assert.equal((await fleet.ask('DELETE', '/v1/servers/one', undefined, token)).status, 403);
      assert.equal((await fleet.ask('GET', '/v1/servers', undefined, token)).status, 200);
    }
    assert.equal((await fleet.ask('GET', '/v1/servers', undefined, null)).status, 401);
    assert.equal((await fleet.ask('POST', '/v1/servers/none/pause')).status, 404);
    assert.equal((await fleet.ask('POST', '/v1/servers/one/pause', { now: true })).status, 400);
    assert.equal((await fleet.ask('POST', '/v1/servers/one/explode')).status, 404);
  });

  it('forget a server only when it is gone, with all it held', async () => {
    await using fleet = await startTestServer(kind);
    const [one] = await joined(fleet, 'one');
    assert.ok(one);
    await one.hold(1, [madeUp('a'), madeUp('b')]);
    const refused = await fleet.ask('DELETE', '/v1/servers/one');
    assert.deepEqual([refused.status, (refused.body as Body).code], [409, 'HW_CONFLICT']);
    await one.beat({ state: 'stopped' });
    assert.equal(((await fleet.ask('POST', '/v1/servers/one/resume')).body as Body).code, 'HW_CONFLICT');
    assert.equal((await fleet.ask('DELETE', '/v1/servers/one')).status, 204);
    assert.equal((await fleet.ask('GET', '/v1/servers/one')).status, 404);
    assert.equal((await one.beat()).status, 401);
    assert.equal((await eventsOf(fleet, 'server.gone')).length, 1);
    assert.deepEqual(await fleet.database.queries.selectFrom('holdings').selectAll().execute(), []);
    await one.register({ id: one.id });
    await one.hold(1, [madeUp('a')]);
    assert.ok((await filesOf(fleet)).has('a'));
  });

  it('list servers in pages, by name, and find them by name, address, zone and state', async () => {
    await using fleet = await startTestServer(kind);
    const names = Array.from({ length: 25 }, (_, index) => `Node-${String(index).padStart(2, '0')}`);
    await joined(fleet, ...names.toReversed());
    const found: string[] = [];
    let cursor = '';
    do {
      const { body } = await fleet.ask('GET', `/v1/servers?limit=10${cursor}`);
      found.push(...(body as Body).items.map(({ name }) => name));
      const { next } = body as Body;
      cursor = next === null ? '' : `&cursor=${next}`;
    } while (cursor !== '');
    assert.deepEqual(found, names);
    const count = async (query: string): Promise<number> =>
      ((await fleet.ask('GET', `/v1/servers?${query}`)).body as Body).items.length;
    assert.deepEqual(
      await Promise.all(
        ['search=node-1', 'search=_', 'search=NODE-07.test', 'zone=west', 'state=running'].map(count),
      ),
      [10, 0, 1, 0, 25],
    );
    for (const query of ['cursor=%%%', 'cursor=AA', 'limit=0', 'state=gone', 'sort=name']) {
      assert.equal((await fleet.ask('GET', `/v1/servers?${query}`)).status, 400, query);
    }
  });

  it('see in the figures how many servers there are of each state', async () => {
    await using fleet = await startTestServer(kind);
    const [one] = await joined(fleet, 'one', 'two');
    await one?.beat({ state: 'paused' });
    const text = String((await fleet.ask('GET', '/metrics')).body);
    assert.match(text, /headwater_file_servers\{state="running"\} 1/);
    assert.match(text, /headwater_file_servers\{state="paused"\} 1/);
    assert.match(text, /headwater_file_servers\{state="dead"\} 0/);
  });
});
