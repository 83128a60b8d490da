import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { HeadwaterError } from '../../../src/core/errors.ts';
import type { Connection, Request } from '../../../src/transport/connection.ts';
import { openConnection } from '../../../src/transport/open-connection.ts';
import { proxyFromEnvironment } from '../../../src/transport/proxy-environment.ts';
import { defaultTransportSettings } from '../../../src/transport/settings.ts';
import { FaultServer, type Script, first, madeUpContent, refusingUrl } from '../../faults/fault-server.ts';
import { Collector } from './collector.ts';
import { FewBuffers } from './few-buffers.ts';
import { SELF_SIGNED } from './self-signed.ts';
import { SmallProxy, type SmallProxyOptions } from './small-proxy.ts';
import { failure } from './with-server.ts';

const SIZE = 2_000_000;
const content = madeUpContent(13, SIZE);

interface Setting extends SmallProxyOptions {
  readonly secure?: boolean;
  readonly script?: Script;
  /** "user:password@" that the client gives the proxy. */
  readonly given?: string;
  readonly ca?: string;
}

interface Scene {
  readonly server: FaultServer;
  readonly proxy: SmallProxy;
  readonly connection: Connection;
  readonly request: Request;
}

async function throughProxy(setting: Setting, use: (scene: Scene) => Promise<void>): Promise<void> {
  const { secure = false, script = { does: 'answer' }, given = '', ca = SELF_SIGNED.cert } = setting;
  await using server = await FaultServer.start({ content, script, ...(secure && { tls: SELF_SIGNED }) });
  await using proxy = await SmallProxy.start(setting);
  const proxyFor = proxyFromEnvironment({ all_proxy: `http://${given}${proxy.url.host}` });
  const connection = openConnection(server.url, { ...defaultTransportSettings, tls: { ca }, proxyFor });
  const request: Request = { method: 'GET', url: server.url, headers: { Range: 'bytes=1000-1499999' } };
  try {
    await use({ server, proxy, connection, request });
  } finally {
    connection.close();
  }
}

for (const secure of [false, true]) {
  describe(secure ? 'a connection through a tunnel of a proxy' : 'a connection through a proxy', () => {
    it('brings the same bytes as a direct one, over one connection', async () => {
      await throughProxy({ secure }, async ({ server, proxy, connection, request }) => {
        for (let round = 1; round <= 3; round++) {
          const collector = new Collector(30_000);
          await connection.send(request, collector);
          assert.equal(collector.status, 206);
          assert.equal(collector.arrived?.headers.get('content-range'), `bytes 1000-1499999/${SIZE}`);
          assert.ok(collector.body.equals(content.read(1000, 1_500_000)));
        }
        assert.equal(connection.opened, 1);
        const { host } = server.url;
        const asked = secure ? [`CONNECT ${host}`] : Array<string>(3).fill(`GET ${server.url.href}`);
        assert.deepEqual(proxy.asked, asked);
        assert.equal(server.counters.seen[0]?.headers.get('host'), host);
      });
    });

    it('delivers exactly when buffers run out again and again', async () => {
      await throughProxy({ secure }, async ({ connection, request }) => {
        const receiver = new FewBuffers(connection, 2, 20_000);
        await connection.send(request, receiver);
        assert.ok(receiver.body.equals(content.read(1000, 1_500_000)));
        assert.ok(receiver.starved > 10, 'buffers did run out');
      });
    });

    it('takes nothing while it is paused', async () => {
      await throughProxy({ secure }, async ({ connection, request }) => {
        const paused = Promise.withResolvers<void>();
        const collector = new Collector(10_000);
        const received = collector.received.bind(collector);
        collector.received = (length) => {
          received(length);
          if (collector.pieces !== 20) return;
          connection.pause();
          paused.resolve();
        };
        const sent = connection.send(request, collector);
        await paused.promise;
        const taken = collector.body.length;
        await throughProxy({ secure }, async (other) =>
          other.connection.send(other.request, new Collector()),
        );
        assert.equal(collector.body.length, taken);
        connection.resume();
        await sent;
        assert.ok(collector.body.equals(content.read(1000, 1_500_000)));
      });
    });

    it('shows the proxy the user and password given', async () => {
      const credentials = 'me:se cret';
      await throughProxy(
        { secure, credentials, given: 'me:se%20cret@' },
        async ({ server, connection, request }) => {
          await connection.send(request, new Collector());
          assert.equal(server.counters.seen[0]?.headers.has('authorization'), false);
        },
      );
    });

    it('shows the server the headers and credentials of the request', async () => {
      await throughProxy({ secure }, async ({ server, connection, request }) => {
        const url = new URL(request.url);
        url.username = 'me';
        await connection.send({ ...request, url, headers: { 'X-Name': 'ü' } }, new Collector());
        const headers = server.counters.seen[0]?.headers;
        assert.equal(headers?.get('x-name'), 'ü');
        assert.equal(headers?.get('authorization'), `Basic ${Buffer.from('me:').toString('base64')}`);
      });
    });

    it('says that the proxy wants a user and password', async () => {
      await throughProxy(
        { secure, credentials: 'me:secret', given: 'you:wrong@' },
        async ({ proxy, connection, request }) => {
          const error = await failure(connection.send(request, new Collector()));
          assert.equal(error.code, 'HW_NOT_ALLOWED');
          assert.match(
            error.message,
            new RegExp(`^The proxy ${proxy.url.host} asks for a user and password`),
          );
          assert.doesNotMatch(error.message, /wrong/);
        },
      );
    });

    it('says when the connection ends within the body, and goes on with the next request', async () => {
      const script = first(1, { does: 'reset', after: 1000 });
      await throughProxy({ secure, script }, async ({ connection, request }) => {
        const error = await failure(connection.send(request, new Collector()));
        assert.equal(error.code, 'HW_CONNECT');
        assert.equal(error.details['url'], request.url.href);
        const collector = new Collector();
        await connection.send(request, collector);
        assert.equal(collector.body.length, 1_499_000);
        assert.equal(connection.opened, 2);
      });
    });

    it('is opened again when it was closed while idle', async () => {
      await throughProxy({ secure }, async ({ proxy, connection, request }) => {
        await connection.send(request, new Collector());
        proxy.dropConnections();
        const collector = new Collector();
        await connection.send(request, collector);
        assert.equal(collector.body.length, 1_499_000);
      });
    });

    it('ends with what a receiver throws, and can be used again', async () => {
      await throughProxy({ secure }, async ({ connection, request }) => {
        for (const where of ['head', 'buffer', 'received'] as const) {
          const thrown = new HeadwaterError('HW_NO_RANGES', 'not what was asked');
          const collector = new Collector();
          collector[where] = () => {
            throw thrown;
          };
          assert.equal(await failure(connection.send(request, collector)), thrown);
        }
        await connection.send(request, new Collector());
      });
    });

    it('can be closed before and within an answer', async () => {
      await throughProxy({ secure }, async ({ connection, request }) => {
        const early = failure(connection.send(request, new Collector()));
        connection.close();
        assert.equal((await early).code, 'HW_INTERRUPTED');

        const reason = new HeadwaterError('HW_SILENT', 'enough');
        const collector = new Collector(1000);
        collector.head = () => connection.close(reason);
        assert.equal(await failure(connection.send(request, collector)), reason);
        assert.equal(collector.body.length, 0);
      });
    });
  });
}

describe('a proxy', () => {
  it('that is not there is named', async () => {
    const gone = await refusingUrl();
    const settings = { ...defaultTransportSettings, proxyFor: () => gone };
    for (const url of [new URL('http://origin.invalid/'), new URL('https://origin.invalid/')]) {
      const connection = openConnection(url, settings);
      const error = await failure(connection.send({ method: 'GET', url, headers: {} }, new Collector()));
      connection.close();
      assert.equal(error.code, 'HW_CONNECT');
      assert.equal(
        error.message,
        `The proxy ${gone.host} refuses connections: nothing listens on that port.`,
      );
    }
  });

  it('that leads nowhere is named with its answer', async () => {
    for (const [refuseTunnels, code] of [
      [502, 'HW_CONNECT'],
      [403, 'HW_NOT_ALLOWED'],
    ] as const) {
      await throughProxy({ secure: true, refuseTunnels }, async ({ proxy, connection, request }) => {
        const error = await failure(connection.send(request, new Collector()));
        assert.equal(error.code, code);
        assert.equal(
          error.message,
          `The proxy ${proxy.url.host} does not lead there: it answers ${refuseTunnels}.`,
        );
      });
    }
  });

  it('does not make a certificate trusted', async () => {
    await using server = await FaultServer.start({ content, tls: SELF_SIGNED });
    await using proxy = await SmallProxy.start();
    const connection = openConnection(server.url, { ...defaultTransportSettings, proxyFor: () => proxy.url });
    const error = await failure(
      connection.send({ method: 'GET', url: server.url, headers: {} }, new Collector()),
    );
    connection.close();
    assert.equal(error.code, 'HW_TLS');
    assert.match(error.message, /signed its certificate itself/);
  });

  it('does not hide that an answer is not HTTP', async () => {
    const script: Script = { does: 'send a status line', line: 'I am no web server' };
    await throughProxy({ secure: true, script }, async ({ connection, request }) => {
      const error = await failure(connection.send(request, new Collector()));
      assert.equal(error.code, 'HW_PROTOCOL');
    });
  });
});
