import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';

import { MIB } from '../../src/core/chunks.ts';
import { SELF_SIGNED } from '../unit/transport/self-signed.ts';
import { ask, rawConnection, readToEnd, Served } from './serve-lab.ts';

const run = promisify(execFile);
const CONTENT = randomBytes(5 * MIB + 1);
const OPTIONS = { encoding: 'buffer', maxBuffer: 16 * MIB } as const;

describe('over TLS', () => {
  test('a real client gets the file, and parts of it, from a server it trusts', async () => {
    await using served = await Served.of({ file: CONTENT }, { tls: SELF_SIGNED });
    assert.match(served.url, /^https:/);
    const ca = served.files.path('.ca.pem');
    await writeFile(ca, SELF_SIGNED.cert);
    const curl = (...args: string[]) =>
      run('curl', ['-sf', '--cacert', ca, ...args, `${served.url}file`], OPTIONS);
    assert.ok((await curl()).stdout.equals(CONTENT));
    assert.ok((await curl('-r', '-1000')).stdout.equals(CONTENT.subarray(-1000)));
    await assert.rejects(run('curl', ['-sf', `${served.url}file`], OPTIONS));
    assert.equal(served.server.status().bytesSent, CONTENT.length + 1000);
  });

  test('a connection that speaks no TLS is closed, and the server is none the worse', async () => {
    await using served = await Served.of({ file: 'x' }, { tls: SELF_SIGNED });
    const socket = await rawConnection(served.url);
    socket.write('GET /file HTTP/1.1\r\nHost: x\r\n\r\n');
    const text = await readToEnd(socket);
    assert.ok(!text.includes('200'));
    const { stdout } = await run('curl', ['-sfk', `${served.url}file`]);
    assert.equal(stdout, 'x');
  });

  test('connections that never shake hands do not keep a server from ending', async () => {
    await using served = await Served.of({ file: 'x' }, { tls: SELF_SIGNED });
    const socket = await rawConnection(served.url);
    const ended = served.server.end(0);
    await readToEnd(socket);
    await ended;
    assert.equal(served.server.state, 'ended');
  });

  test('the control API with a token speaks it too', async () => {
    const control = { port: 0, token: 'a-token-of-some-length' };
    await using served = await Served.of({ file: 'x' }, { tls: SELF_SIGNED, control });
    assert.match(served.serving.control ?? '', /^https:/);
    await assert.rejects(ask(served.serving.control ?? '', '/v1/servers'));
    const headers = ['-H', 'Authorization: Bearer a-token-of-some-length'];
    const { stdout } = await run('curl', ['-sfk', ...headers, `${served.serving.control}v1/servers`]);
    assert.equal((JSON.parse(stdout) as { servers: object[] }).servers.length, 1);
  });
});
