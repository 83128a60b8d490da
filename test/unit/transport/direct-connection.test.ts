import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { describe, it } from 'node:test';

import { openConnection } from '../../../src/transport/open-connection.ts';
import { defaultTransportSettings } from '../../../src/transport/settings.ts';
import { FaultServer, type Misbehaviour } from '../../faults/fault-server.ts';
import { Collector } from './collector.ts';
import { SIZE, content, failure, get, withServer } from './with-server.ts';

describe('a direct connection', () => {
  it('brings the bytes of many ranges over one socket', async () => {
    await withServer({ does: 'answer' }, async (server, connection) => {
      for (const [from, to] of [
        [0, 1],
        [5, 5000],
        [100_000, 2_900_001],
        [SIZE - 1, SIZE],
      ] as const) {
        const collector = new Collector(300_000);
        await connection.send(get(server.url, from, to), collector);
        assert.equal(collector.status, 206);
        assert.equal(collector.arrived?.headers.get('content-range'), `bytes ${from}-${to - 1}/${SIZE}`);
        assert.ok(collector.body.equals(content.read(from, to)));
      }
      assert.equal(connection.opened, 1);
      assert.equal(server.counters.connections, 1);
    });
  });

  it('answers HEAD and empty bodies and goes on with the next request', async () => {
    await withServer({ does: 'answer' }, async (server, connection) => {
      const head = new Collector();
      await connection.send({ method: 'HEAD', url: server.url, headers: {} }, head);
      assert.equal(head.arrived?.headers.get('content-length'), String(SIZE));
      assert.equal(head.body.length, 0);
      const outside = new Collector();
      await connection.send(get(server.url, SIZE, SIZE + 5), outside);
      assert.equal(outside.status, 416);
      await connection.send(get(server.url, 0, 10), new Collector());
      assert.equal(connection.opened, 1);
    });
  });

  it('sends a body with POST', async () => {
    await withServer({ does: 'send', status: 201, body: 'made' }, async (server, connection) => {
      const collector = new Collector();
      const body = Buffer.from('{"a":1}');
      await connection.send({ method: 'POST', url: server.url, headers: { Accept: '*/*' }, body }, collector);
      assert.equal(collector.status, 201);
      assert.equal(collector.body.toString(), 'made');
      assert.deepEqual(Buffer.from(server.counters.seen[0]?.body ?? []), body);
    });
  });

  const understood: Record<string, Misbehaviour> = {
    'with bare LF': { does: 'use bare LF' },
    'with interim heads before it': { does: 'send interim heads', statuses: [100, 103, 102] },
    'in chunks': { does: 'chunk', size: 70_001 },
    'in tiny chunks with extensions and trailers': { does: 'chunk', size: 97, adorned: true },
    'that ends by closing': { does: 'end by closing' },
    'with Connection: close': { does: 'answer', closing: true },
    'whose head drips': { does: 'drip the head', every: 0 },
  };
  for (const [what, misbehaviour] of Object.entries(understood)) {
    it(`understands an answer ${what}`, async () => {
      await withServer(misbehaviour, async (server, connection) => {
        for (let round = 1; round <= 2; round++) {
          const collector = new Collector(50_000);
          await connection.send(get(server.url, 1000, 500_000), collector);
          assert.ok(collector.body.equals(content.read(1000, 500_000)));
        }
        const closing = misbehaviour.closing === true || misbehaviour.does === 'end by closing';
        assert.equal(connection.opened, closing ? 2 : 1);
      });
    });
  }

  it('keeps a finished answer and drops the connection when more bytes follow', async () => {
    await withServer({ does: 'send too much', extra: 5 }, async (server, connection) => {
      // With the head, or much later: read aside, or after the last byte that had a place in memory.
      for (const [round, to] of [1000, 2_000_000, 2_000_000, 1000].entries()) {
        const collector = new Collector(1_000_000);
        await connection.send(get(server.url, 0, to), collector);
        assert.ok(collector.body.equals(content.read(0, to)));
        assert.equal(connection.opened, round + 1);
      }
    });
  });

  it('drops the connection when the answer came before the request was sent', async () => {
    const answer = 'HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n';
    const server = createServer((socket) => {
      socket.on('error', () => {}).once('data', () => socket.pause().write(answer));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    const connection = openConnection(url, defaultTransportSettings);
    const body = new Uint8Array(32 * 1024 * 1024);
    for (const opened of [1, 2]) {
      const collector = new Collector();
      await connection.send({ method: 'POST', url, headers: {}, body }, collector);
      assert.equal(collector.status, 413);
      assert.equal(connection.opened, opened);
    }
    connection.close();
    server.close();
  });
});

describe('a request', () => {
  it('goes one at a time, and to its own server only', async () => {
    await withServer({ does: 'fall silent' }, async (server, connection) => {
      const away = new URL('http://127.0.0.1:1/');
      assert.equal((await failure(connection.send(get(away), new Collector()))).code, 'HW_INTERNAL');
      const under = failure(connection.send(get(server.url), new Collector()));
      assert.equal((await failure(connection.send(get(server.url), new Collector()))).code, 'HW_INTERNAL');
      connection.close();
      await under;
    });
  });

  it('carries user and password as Basic authorization and never shows them', async () => {
    await withServer({ does: 'answer' }, async (server, connection) => {
      const url = new URL(server.url);
      url.username = 'me';
      url.password = 'se:cret/ü';
      await connection.send(get(url, 0, 10), new Collector());
      const sent = server.counters.seen[0]?.headers.get('authorization') ?? '';
      assert.equal(Buffer.from(sent.slice('Basic '.length), 'base64').toString(), 'me:se:cret/ü');

      server.behave({ does: 'reset', after: 3 });
      const error = await failure(connection.send(get(url, 0, 10), new Collector()));
      assert.doesNotMatch(JSON.stringify([error.message, error.details]), /cret/);
      assert.equal(error.details['url'], server.url.href);
    });
  });

  it('names the host and keeps a header the caller gave', async () => {
    await withServer({ does: 'answer' }, async (server, connection) => {
      await connection.send(
        get(server.url, 0, 10, { 'X-Name': 'ü', Authorization: 'Bearer x' }),
        new Collector(),
      );
      const headers = server.counters.seen[0]?.headers;
      assert.equal(headers?.get('host'), server.url.host);
      assert.equal(headers?.get('x-name'), 'ü');
      assert.equal(headers?.get('authorization'), 'Bearer x');
    });
  });

  it('is refused with headers that would break it', async () => {
    await withServer({ does: 'answer' }, async (server, connection) => {
      for (const headers of [
        { 'X-Name': 'a\r\nHost: b' },
        { 'X Name': 'a' },
        { 'Content-Length': '5' },
        { 'transfer-encoding': 'chunked' },
      ]) {
        const error = await failure(connection.send(get(server.url, 0, 10, headers), new Collector()));
        assert.equal(error.code, 'HW_USAGE');
      }
      assert.equal(server.counters.requests, 0);
    });
  });

  it('reaches an IPv6 address', async () => {
    await using server = await FaultServer.start({ content, address: '::1' });
    const connection = openConnection(server.url, defaultTransportSettings);
    const collector = new Collector();
    await connection.send(get(server.url, 0, 10), collector);
    connection.close();
    assert.ok(collector.body.equals(content.read(0, 10)));
    assert.equal(server.counters.seen[0]?.headers.get('host'), `[::1]:${server.port}`);
  });
});
