import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, type Socket, createServer } from 'node:net';
import { describe, it } from 'node:test';
import type { TlsOptions } from 'node:tls';

import { HeadwaterError } from '../../../src/core/errors.ts';
import { authorities } from '../../../src/transport/authorities.ts';
import type { TransportSettings } from '../../../src/transport/connection.ts';
import { openConnection } from '../../../src/transport/open-connection.ts';
import { defaultTransportSettings } from '../../../src/transport/settings.ts';
import { FaultServer, madeUpContent } from '../../faults/fault-server.ts';
import { Collector } from './collector.ts';
import { SELF_SIGNED, selfSigned } from './self-signed.ts';

const content = madeUpContent(3, 400_000);

interface Visit {
  readonly error: HeadwaterError | undefined;
  readonly body: Buffer;
  readonly serverNames: string[];
}

/** One request to a TLS server, by address or by another name for it. */
async function visit(server: TlsOptions, tls: TransportSettings['tls'], host?: string): Promise<Visit> {
  const serverNames: string[] = [];
  const noting: TlsOptions = {
    ...server,
    SNICallback: (name, done) => {
      serverNames.push(name);
      done(null);
    },
  };
  await using running = await FaultServer.start({ content, tls: noting });
  const { url } = running;
  if (host !== undefined) url.hostname = host;
  const connection = openConnection(url, { ...defaultTransportSettings, tls });
  const collector = new Collector();
  let error: HeadwaterError | undefined;
  try {
    await connection.send({ method: 'GET', url, headers: {} }, collector);
  } catch (thrown) {
    assert.ok(thrown instanceof HeadwaterError);
    error = thrown;
  }
  connection.close();
  return { error, body: collector.body, serverNames };
}

/** How a request fails when a plain server answers the first bytes of the handshake like this. */
async function greetedWith(answer: (socket: Socket) => void): Promise<HeadwaterError> {
  const server = createServer((socket) => socket.on('error', () => {}).once('data', () => answer(socket)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = new URL(`https://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  const connection = openConnection(url, defaultTransportSettings);
  try {
    await connection.send({ method: 'GET', url, headers: {} }, new Collector());
  } catch (error) {
    assert.ok(error instanceof HeadwaterError);
    return error;
  } finally {
    server.close();
  }
  return assert.fail('the request was answered');
}

describe('a connection over TLS', () => {
  it('trusts the authority given, by name and by address', async () => {
    for (const host of ['localhost', '127.0.0.1']) {
      const { error, body, serverNames } = await visit(SELF_SIGNED, { ca: SELF_SIGNED.cert }, host);
      assert.equal(error, undefined);
      assert.ok(body.equals(content.read(0, content.size)));
      assert.deepEqual(
        serverNames,
        host === 'localhost' ? ['localhost'] : [],
        'an address is no server name',
      );
    }
  });

  it('trusts the system besides the authority given', () => {
    const all = authorities(SELF_SIGNED.cert);
    assert.ok(all.length > 20);
    assert.equal(new Set(all).size, all.length);
    assert.ok(all.includes(SELF_SIGNED.cert));
  });

  it('refuses a certificate that nobody vouches for, and says so', async () => {
    const { error, body } = await visit(SELF_SIGNED, {});
    assert.equal(error?.code, 'HW_TLS');
    assert.match(error.message, /^127\.0\.0\.1:\d+ signed its certificate itself/);
    assert.equal(body.length, 0);
  });

  it('refuses a certificate for another name, and says for which', async () => {
    const other = selfSigned('Elsewhere', 'DNS:elsewhere.example');
    const { error } = await visit(other, { ca: other.cert }, 'localhost');
    assert.equal(error?.code, 'HW_TLS');
    assert.match(
      error.message,
      /^localhost:\d+ has a certificate for another name \(DNS:elsewhere\.example\)\.$/,
    );
  });

  it('refuses a certificate that has expired, and says so', async () => {
    const old = selfSigned('Old', 'IP:127.0.0.1', -1);
    const { error } = await visit(old, { ca: old.cert });
    assert.equal(error?.code, 'HW_TLS');
    assert.match(error.message, /has a certificate that has expired/);
  });

  it('takes any certificate when told to', async () => {
    const { error, body } = await visit(SELF_SIGNED, { insecure: true });
    assert.equal(error, undefined);
    assert.equal(body.length, content.size);
  });

  it('shows a client certificate, and says when one is wanted', async () => {
    const client = selfSigned('Client', 'DNS:client');
    const server = { ...SELF_SIGNED, requestCert: true, ca: client.cert };
    const ca = SELF_SIGNED.cert;
    assert.equal((await visit(server, { ca, ...client })).error, undefined);
    const { error } = await visit(server, { ca });
    assert.equal(error?.code, 'HW_TLS');
    assert.match(error.message, /asks for a client certificate/);
  });

  it('says when a server does not speak TLS', async () => {
    const error = await greetedWith((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    assert.equal(error.code, 'HW_TLS');
    assert.match(error.message, /does not speak TLS on that port/);
  });

  it('is no matter of certificates when the connection breaks during the handshake', async () => {
    const error = await greetedWith((socket) => socket.resetAndDestroy());
    assert.equal(error.code, 'HW_CONNECT');
  });

  it('says which of the files given cannot be used', async () => {
    const { error } = await visit(SELF_SIGNED, {
      ca: SELF_SIGNED.cert,
      cert: 'no certificate',
      key: 'no key',
    });
    assert.equal(error?.code, 'HW_USAGE');
  });
});
