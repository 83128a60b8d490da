import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { describe, it } from 'node:test';

import { HeadwaterError } from '../../../src/core/errors.ts';
import type { Request } from '../../../src/transport/connection.ts';
import { openConnection } from '../../../src/transport/open-connection.ts';
import { defaultTransportSettings } from '../../../src/transport/settings.ts';
import { type Misbehaviour, type Script, first, refusingUrl } from '../../faults/fault-server.ts';
import { Collector } from './collector.ts';
import { content, failure, get, withServer } from './with-server.ts';

describe('a direct connection that fails', () => {
  const failures: Record<string, [Misbehaviour, 'HW_CONNECT' | 'HW_PROTOCOL', RegExp]> = {
    'reset at once': [{ does: 'reset at once' }, 'HW_CONNECT', /reset the connection|closed the connection/],
    'reset instead of an answer': [{ does: 'reset on request' }, 'HW_CONNECT', /reset the connection/],
    'closed instead of an answer': [{ does: 'close on request' }, 'HW_CONNECT', /without an answer/],
    'reset within the body': [{ does: 'reset', after: 4000 }, 'HW_CONNECT', /reset the connection/],
    'closed within the body': [
      { does: 'close early', after: 4000 },
      'HW_CONNECT',
      /closed the connection 6000 bytes early/,
    ],
    'closed within chunks': [
      {
        does: 'send raw',
        bytes: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab',
        ending: 'close',
      },
      'HW_CONNECT',
      /before the last chunk/,
    ],
    'closed within the head': [
      { does: 'send raw', bytes: 'HTTP/1.1 200', ending: 'close' },
      'HW_CONNECT',
      /within the head/,
    ],
    'no HTTP': [
      { does: 'send a status line', line: 'I am no web server' },
      'HW_PROTOCOL',
      /status line is "I am no web server"/,
    ],
    'a head without end': [{ does: 'never end the head' }, 'HW_PROTOCOL', /head is longer than 65536 bytes/],
    'a broken chunk': [
      {
        does: 'send raw',
        bytes: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhello\r\n',
        ending: 'stay',
      },
      'HW_PROTOCOL',
      /a chunk begins with "hello"/,
    ],
  };
  for (const [what, [misbehaviour, code, message]] of Object.entries(failures)) {
    it(`says so when there is: ${what}`, async () => {
      await withServer(first(1, misbehaviour), async (server, connection) => {
        if (misbehaviour.does === 'reset at once') server.behave(misbehaviour);
        const error = await failure(connection.send(get(server.url, 0, 10_000), new Collector()));
        assert.equal(error.code, code);
        assert.match(error.message, message);
        assert.equal(error.details['url'], server.url.href);

        server.behave({ does: 'answer' });
        const collector = new Collector();
        await connection.send(get(server.url, 0, 10_000), collector);
        assert.ok(collector.body.equals(content.read(0, 10_000)), 'the next request opens it again');
        assert.equal(connection.opened, 2);
      });
    });
  }

  it('says that a port is closed', async () => {
    const url = await refusingUrl();
    const error = await failure(
      openConnection(url, defaultTransportSettings).send(get(url), new Collector()),
    );
    assert.equal(error.code, 'HW_CONNECT');
    assert.equal(error.message, `${url.host} refuses connections: nothing listens on that port.`);
    assert.equal(error.details['reason'], 'ECONNREFUSED');
    assert.ok(error.cause instanceof Error);
  });

  it('gives up when the server does not take the connection in time', async () => {
    // A listening socket with a full queue lets further connects wait, as a host that drops packets does; a TLS server
    // that says nothing is the same to the one who waits.
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = new URL(`https://127.0.0.1:${(server.address() as AddressInfo).port}/file`);
    try {
      const connection = openConnection(url, { ...defaultTransportSettings, connectTimeout: 50 });
      const error = await failure(connection.send(get(url), new Collector()));
      assert.equal(error.code, 'HW_CONNECT');
      assert.equal(error.message, `${url.host} does not answer.`);
      assert.equal(error.details['url'], url.href);
    } finally {
      server.close();
    }
  });
});

describe('a connection that was idle', () => {
  it('is opened again when the server had closed it', async () => {
    await withServer({ does: 'answer' }, async (server, connection) => {
      await connection.send(get(server.url, 0, 10), new Collector());
      await server.leave();
      await server.comeBack();
      const collector = new Collector();
      await connection.send(get(server.url, 10, 20), collector);
      assert.ok(collector.body.equals(content.read(10, 20)));
      assert.equal(connection.opened, 2);
    });
  });

  for (const does of ['reset on request', 'close on request'] as const) {
    it(`sends a request once more when the old socket fails on it (${does})`, async () => {
      const script: Script = (request) => ({ does: request.onConnection === 2 ? does : 'answer' });
      await withServer(script, async (server, connection) => {
        await connection.send(get(server.url, 0, 10), new Collector());
        const collector = new Collector();
        await connection.send(get(server.url, 10, 20), collector);
        assert.ok(collector.body.equals(content.read(10, 20)));
        assert.deepEqual(
          server.counters.seen.map((request) => request.connection),
          [1, 1, 2],
        );
      });
    });
  }

  it('sends a request no third time', async () => {
    const script: Script = (request) => ({ does: request.number === 1 ? 'answer' : 'close on request' });
    await withServer(script, async (server, connection) => {
      await connection.send(get(server.url, 0, 10), new Collector());
      const error = await failure(connection.send(get(server.url, 10, 20), new Collector()));
      assert.equal(error.code, 'HW_CONNECT');
      assert.equal(server.counters.requests, 3);
    });
  });

  it('does not send a POST twice', async () => {
    const script: Script = (request) => ({ does: request.number === 2 ? 'close on request' : 'answer' });
    await withServer(script, async (server, connection) => {
      await connection.send(get(server.url, 0, 10), new Collector());
      const post: Request = { method: 'POST', url: server.url, headers: {}, body: Buffer.from('x') };
      const error = await failure(connection.send(post, new Collector()));
      assert.equal(error.code, 'HW_CONNECT');
      assert.equal(server.counters.requests, 2);
    });
  });
});

describe('what a receiver throws', () => {
  for (const where of ['head', 'buffer', 'received'] as const) {
    it(`in ${where} ends the request with the same error, and the connection can be used again`, async () => {
      await withServer({ does: 'answer' }, async (server, connection) => {
        const thrown = new HeadwaterError('HW_NO_RANGES', 'not what was asked');
        const collector = new Collector();
        collector[where] = () => {
          throw thrown;
        };
        assert.equal(await failure(connection.send(get(server.url), collector)), thrown);
        const next = new Collector();
        await connection.send(get(server.url, 0, 10), next);
        assert.ok(next.body.equals(content.read(0, 10)));
        assert.equal(connection.opened, 2);
      });
    });
  }
});

describe('closing', () => {
  it('rejects the request under way with the reason given, and touches the receiver no more', async () => {
    await withServer({ does: 'answer' }, async (server, connection) => {
      const reason = new Error('enough');
      const collector = new Collector(1000);
      let calls = 0;
      const counted = {
        head: (): void => collector.head({ status: 0, headers: new Map() }),
        buffer: (): Uint8Array | undefined => {
          calls++;
          return collector.buffer();
        },
        received: (length: number): void => {
          collector.received(length);
          if (collector.pieces === 3) connection.close(reason);
          else assert.ok(collector.pieces < 3);
        },
      };
      await assert.rejects(connection.send(get(server.url), counted), reason);
      const before = calls;
      await connection.send(get(server.url, 0, 10), new Collector());
      assert.equal(calls, before);
    });
  });

  it('rejects before an answer came', async () => {
    await withServer({ does: 'fall silent' }, async (server, connection) => {
      const sent = failure(connection.send(get(server.url), new Collector()));
      connection.close();
      assert.equal((await sent).code, 'HW_INTERRUPTED');
    });
  });
});
