import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';

import { FleetClient } from '../../../src/client/fleet/fleet-client.ts';
import { HeadwaterError, type ErrorCode } from '../../../src/core/errors.ts';
import { InformationStandIn, type InformationScript } from './stand-in.ts';

async function standIn(t: TestContext, script: InformationScript): Promise<InformationStandIn> {
  const made = await InformationStandIn.start(script);
  t.after(() => made.close());
  return made;
}

function clientOf(t: TestContext, addresses: readonly string[], patience = 0): FleetClient {
  const client = new FleetClient({ addresses, token: 'secret', patience });
  t.after(() => client.close());
  return client;
}

const fails =
  (code: ErrorCode, message = /./) =>
  (error: unknown) => {
    assert.ok(error instanceof HeadwaterError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    return true;
  };

/** Nothing listens there. */
async function deadAddress(): Promise<string> {
  const server = await InformationStandIn.start(() => 'nothing');
  await server.close();
  return server.url;
}

test('an information server that is away, or answers 503, is passed over for the next', async (t) => {
  const busy = await standIn(t, () => ({ code: 'HW_DATABASE' }));
  const good = await standIn(t, ({ token }) => ({ value: { token } }));
  const client = clientOf(t, [await deadAddress(), busy.url, good.url]);
  assert.deepEqual(await client.ask('GET', 'v1/me'), { token: 'secret' });
  assert.equal(client.addresses[0], good.url);
  await client.ask('GET', 'v1/me');
  assert.equal(busy.asked.length, 1, 'who answered is asked first');
});

test('one that takes the request and says nothing is passed over too', { timeout: 30_000 }, async (t) => {
  const silent = await standIn(t, () => 'nothing');
  const good = await standIn(t, () => ({ value: 1 }));
  assert.equal(await clientOf(t, [silent.url, good.url]).ask('GET', 'v1/me'), 1);
});

test('when none answers the error names each', async (t) => {
  const [one, two] = [await deadAddress(), await deadAddress()];
  await assert.rejects(
    clientOf(t, [one, two]).ask('GET', 'v1/me'),
    fails('HW_CONNECT', new RegExp(`${new URL(one).port}.*${new URL(two).port}`)),
  );
});

test('it goes on asking while its patience lasts, at the time that the server names', async (t) => {
  let times = 0;
  const server = await standIn(t, () =>
    ++times < 2 ? { code: 'HW_UNAVAILABLE', retryAfter: 1 } : { value: 'back' },
  );
  const began = performance.now();
  assert.equal(await clientOf(t, [server.url], 10).ask('GET', 'v1/me'), 'back');
  assert.ok(performance.now() - began > 990);
});

test('what the server refuses comes with its code, its message and its details', async (t) => {
  const server = await standIn(t, () => ({ code: 'HW_FORBIDDEN', message: 'this takes the role admin' }));
  await assert.rejects(
    clientOf(t, [server.url], 10).ask('POST', 'v1/users', { body: {} }),
    (error: HeadwaterError) => {
      assert.equal(error.code, 'HW_FORBIDDEN');
      assert.equal(error.message, 'this takes the role admin');
      assert.equal(error.details['status'], 403);
      return true;
    },
  );
  assert.equal(server.asked.length, 1);
});

test('what may have been done is not asked for twice', async (t) => {
  const cut = await standIn(t, () => 'reset');
  const other = await standIn(t, () => ({ value: 'made again' }));
  const client = clientOf(t, [cut.url, other.url], 5);
  await assert.rejects(client.ask('POST', 'v1/users', { body: {} }), fails('HW_CONNECT'));
  assert.equal(other.asked.length, 0);
  assert.equal(
    await client.ask('POST', 'v1/files/1/downloads', { body: {}, repeatable: true }),
    'made again',
  );
});

test('a deletion whose answer was lost is done, though the second attempt finds nothing', async (t) => {
  const cut = await standIn(t, () => 'reset');
  const other = await standIn(t, () => ({ code: 'HW_NOT_FOUND' }));
  await clientOf(t, [cut.url, other.url]).ask('DELETE', 'v1/files/1');
  await assert.rejects(clientOf(t, [other.url]).ask('DELETE', 'v1/files/1'), fails('HW_NOT_FOUND'));
});

test('a web server that is none of ours is told from one that is', async (t) => {
  const page = await standIn(t, () => ({ text: '<html>', status: 200 }));
  await assert.rejects(
    clientOf(t, [page.url]).ask('GET', 'v1/me'),
    fails('HW_PROTOCOL', /information server/),
  );
  const missing = await standIn(t, () => ({ text: 'no', status: 404 }));
  await assert.rejects(
    clientOf(t, [missing.url]).ask('GET', 'v1/me'),
    fails('HW_NOT_FOUND', /information server/),
  );
  const moved = await standIn(t, () => ({
    text: '',
    status: 301,
    headers: { location: 'https://fleet.example/' },
  }));
  await assert.rejects(clientOf(t, [moved.url]).ask('GET', 'v1/me'), fails('HW_REDIRECT', /fleet\.example/));
});

test('a signal ends a call at once, while it waits for an answer and while it waits to ask again', async (t) => {
  const silent = await standIn(t, () => 'nothing');
  const client = clientOf(t, [silent.url], 60);
  const stop = new AbortController();
  const call = client.ask('GET', 'v1/me', { signal: stop.signal });
  stop.abort();
  await assert.rejects(call, fails('HW_INTERRUPTED'));
  const away = clientOf(t, [await deadAddress()], 60);
  await assert.rejects(
    away.ask('GET', 'v1/me', { signal: AbortSignal.timeout(300) }),
    fails('HW_INTERRUPTED'),
  );
});

test('it learns the other information servers, but none that the token should not go to', async (t) => {
  const server = await standIn(t, () => ({
    value: {
      id: 'f',
      version: '1',
      informationServers: ['http://127.0.0.1:9', 'https://other.example', 'ftp://x', 'nonsense'],
    },
  }));
  const client = clientOf(t, [server.url]);
  await client.learnOthers();
  assert.deepEqual(client.addresses, [server.url, 'http://127.0.0.1:9', 'https://other.example']);
});
