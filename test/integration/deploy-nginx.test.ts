import assert from 'node:assert/strict';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { request as tlsRequest } from 'node:https';
import { createServer, connect, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';

import { deploy, rewrite, without } from './deploy/checked-by.ts';
import { ProxiedServer } from './deploy/proxied-server.ts';

const FILE = '/v1/files/01a1f82d-5011-7e5b-981c-a2432b988104';

/** Root would give its files to another user. */
const USER = process.getuid?.() === 0 ? 'user root;' : '';

interface Place {
  readonly folder: string;
  readonly port: number;
  readonly first: ProxiedServer;
  readonly second: ProxiedServer;
  readonly fileServer: ProxiedServer;
}

/** The two configurations of deploy/nginx, with addresses, ports and folders of a test. */
const CONFIGURATIONS = [
  {
    name: 'compose.conf',
    write: ({ folder, port, first, second, fileServer }: Place): void => {
      writeFileSync(join(folder, 'resolver.conf'), '');
      rewrite(join(deploy, 'nginx/compose.conf'), join(folder, 'nginx.conf'), [
        ['include /tmp/resolver.conf;', `include ${folder}/resolver.conf;`],
        ['/dev/stdout', `${folder}/access.log`],
        ['error_log stderr', `error_log ${folder}/error.log`],
        [/\/tmp\/(?=body|proxy|fastcgi|uwsgi|scgi|nginx\.pid)/g, `${folder}/`],
        ['/run/secrets/tls-certificate.pem', `${folder}/certificate.pem`],
        ['/run/secrets/tls-key.pem', `${folder}/key.pem`],
        ['listen 8443 ssl;', `listen 127.0.0.1:${port} ssl;`],
        ['information-1:8080', first.address],
        ['information-2:8080', second.address],
        ['a1 a1:8080;', `a1 ${fileServer.address};`],
        ['worker_processes auto;', `worker_processes 1; daemon off; ${USER}`],
      ]);
    },
  },
  {
    name: 'headwater.conf',
    write: ({ folder, port, first, second, fileServer }: Place): void => {
      rewrite(join(deploy, 'nginx/headwater.conf'), join(folder, 'site.conf'), [
        ['/var/log/nginx/', `${folder}/`],
        ['/etc/ssl/fleet.example/fullchain.pem', `${folder}/certificate.pem`],
        ['/etc/ssl/fleet.example/privkey.pem', `${folder}/key.pem`],
        [/listen \[::\]:\d+( ssl)?;/g, ''],
        ['listen 443 ssl;', `listen 127.0.0.1:${port} ssl;`],
        ['listen 80;', `listen unix:${folder}/plain.sock;`],
        ['10.0.0.11:7400', first.address],
        ['10.0.0.12:7400', second.address],
        ['10.0.0.21:7500', fileServer.address],
      ]);
      const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
        (each) => `${each}_temp_path ${folder}/${each};`,
      );
      writeFileSync(
        join(folder, 'nginx.conf'),
        `daemon off; worker_processes 1; ${USER} pid ${folder}/nginx.pid; error_log ${folder}/error.log warn;
events { worker_connections 256; }
http { ${temporary.join(' ')} include ${folder}/site.conf; }\n`,
      );
    },
  },
] as const;

for (const { name, write } of CONFIGURATIONS) {
  describe(`nginx with ${name}`, { skip: without('nginx', '-v') || without('openssl', 'version') }, () => {
    const folder = mkdtempSync(join(tmpdir(), 'headwater-nginx-'));
    const logs = join(folder, 'headwater.log');
    const first = new ProxiedServer('first');
    const second = new ProxiedServer('second');
    const fileServer = new ProxiedServer('file server');
    let port = 0;
    let nginx: ChildProcess;

    before(async () => {
      for (const each of [first, second, fileServer]) await each.listen();
      port = await freePort();
      mkdirSync(folder, { recursive: true });
      certify(folder);
      write({ folder, port, first, second, fileServer });
      const check = spawnSync(
        'nginx',
        ['-t', '-q', '-e', 'stderr', '-p', folder, '-c', join(folder, 'nginx.conf')],
        { encoding: 'utf8' },
      );
      assert.equal(check.stderr, '');
      nginx = spawn(
        'nginx',
        ['-e', join(folder, 'error.log'), '-p', folder, '-c', join(folder, 'nginx.conf')],
        { stdio: 'ignore' },
      );
      await untilListens(port);
    });
    after(async () => {
      nginx.kill('SIGTERM');
      await once(nginx, 'close');
      for (const each of [first, second, fileServer]) await each.close();
      rmSync(folder, { recursive: true, force: true });
    });
    beforeEach(async () => {
      for (const each of [first, second, fileServer]) {
        each.asked.length = 0;
        each.handler = undefined;
      }
    });
    afterEach(async () => {
      for (const each of [first, second]) if (each.address !== '127.0.0.1:0') await each.close();
      for (const each of [first, second]) await each.listen();
    });

    const ask = (
      path: string,
      options: { method?: string; headers?: Record<string, string>; body?: string } = {},
    ): Promise<IncomingMessage> => answerOf({ port, path, ...options });

    test('asks both information servers', async () => {
      const said = new Set<string>();
      for (let tries = 0; tries < 100 && said.size < 2; tries++) said.add(await text(await ask('/v1/me')));
      assert.deepEqual([...said].sort(), ['first', 'second']);
    });

    test('asks the other when one is gone, and gives nobody an error', async () => {
      await first.close();
      for (let tries = 0; tries < 20; tries++) {
        const answer = await ask('/v1/files');
        assert.equal(answer.statusCode, 200);
        assert.equal(await text(answer), 'second');
      }
    });

    test('sends what reached nobody to the other, also where it changes something', async () => {
      await first.close();
      for (let tries = 0; tries < 20; tries++) {
        const answer = await ask('/v1/users', { method: 'POST', body: '{}' });
        assert.equal(await text(answer), 'second');
      }
      assert.equal(second.asked.length, 20);
    });

    test('sends nothing a second time that may have changed something', async () => {
      for (const each of [first, second]) each.handler = (incoming) => void incoming.socket.destroy();
      const answer = await ask('/v1/users', { method: 'POST', body: '{}' });
      assert.equal(answer.statusCode, 502);
      await text(answer);
      assert.equal(first.asked.length + second.asked.length, 1);
    });

    test('tells the information server who asks, and not what the client claims', async () => {
      await text(
        await ask('/v1/me', { headers: { 'X-Forwarded-For': '203.0.113.9', 'X-Forwarded-Proto': 'gopher' } }),
      );
      const [told] = [...first.asked, ...second.asked];
      assert.equal(told?.headers['x-forwarded-for'], '127.0.0.1');
      assert.equal(told?.headers['x-forwarded-proto'], 'https');
    });

    test('passes events on as they happen', async () => {
      const done = Promise.withResolvers<void>();
      for (const each of [first, second]) {
        each.handler = (_incoming, response) => {
          response.writeHead(200, { 'content-type': 'text/event-stream' });
          response.write('data: 1\n\n');
          void done.promise.then(() => response.end());
        };
      }
      const answer = await ask('/v1/events');
      // It comes although the answer has not ended.
      const [event] = (await once(answer, 'data')) as [Buffer];
      assert.equal(event.toString(), 'data: 1\n\n');
      done.resolve();
      await text(answer);
    });

    test('hands no figures out', async () => {
      const answer = await ask('/metrics');
      assert.equal(answer.statusCode, 404);
      await text(answer);
      assert.deepEqual([...first.asked, ...second.asked], []);
    });

    test('passes bytes of files on, ranges and grants and all, and nothing else of a file server', async () => {
      const answer = await ask(`/servers/a1${FILE}?token=abc`, {
        headers: { Range: 'bytes=0-3', Authorization: 'Bearer x' },
      });
      assert.equal(await text(answer), 'file server');
      const [asked] = fileServer.asked;
      assert.equal(asked?.url, `${FILE}?token=abc`);
      assert.equal(asked?.headers.range, 'bytes=0-3');
      assert.equal(asked?.headers.authorization, 'Bearer x');
      for (const path of [
        '/servers/a1/metrics',
        `/servers/a1/../../metrics`,
        '/servers/a1/v1/files/x',
        `/servers/postgres${FILE}`,
        `/servers/a1${FILE}/../../../metrics`,
      ])
        await text(await ask(path));
      assert.equal(fileServer.asked.length, 1);
    });

    test('writes no grant into its logs, not even when a server is away', async () => {
      await text(await ask(`/servers/a1${FILE}?token=SECRETGRANT`));
      await fileServer.close();
      const answer = await ask(`/servers/a1${FILE}?token=SECRETGRANT`);
      await text(answer);
      await fileServer.listen();
      assert.equal(answer.statusCode, 502);
      await first.close();
      for (let tries = 0; tries < 10; tries++) await text(await ask(`${FILE}/manifest?token=SECRETGRANT`));
      const written = [
        logs,
        join(folder, 'access.log'),
        join(folder, 'error.log'),
        join(folder, 'headwater-error.log'),
      ]
        .map(readIfThere)
        .join('');
      assert.match(written, new RegExp(`GET /servers/a1${FILE}" 502`));
      assert.doesNotMatch(written, /SECRETGRANT/);
    });

    test('takes bodies as long as an information server reads, and not any length', async () => {
      const whole = await ask('/v1/servers', { method: 'POST', body: ' '.repeat(4 * 1024 * 1024) });
      assert.equal(whole.statusCode, 200);
      await text(whole);
      const large = await ask('/v1/servers', {
        method: 'POST',
        body: '',
        headers: { 'content-length': String(1024 ** 3) },
      });
      assert.equal(large.statusCode, 413);
    });
  });
}

interface Question {
  readonly port: number;
  readonly path: string;
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

async function answerOf({
  port,
  path,
  method = 'GET',
  headers = {},
  body,
}: Question): Promise<IncomingMessage> {
  const sent = tlsRequest({
    host: '127.0.0.1',
    port,
    path,
    method,
    rejectUnauthorized: false,
    agent: false,
    headers: { host: 'fleet.example', 'content-type': 'application/json', ...headers },
  });
  if (body !== undefined) sent.write(body);
  if (headers['content-length'] === undefined) sent.end();
  const [answer] = (await once(sent, 'response')) as [IncomingMessage];
  sent.on('error', () => undefined);
  return answer;
}

function certify(folder: string): void {
  const { status, stderr } = spawnSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-subj',
      '/CN=fleet.example',
      '-days',
      '1',
      '-keyout',
      join(folder, 'key.pem'),
      '-out',
      join(folder, 'certificate.pem'),
    ],
    { encoding: 'utf8' },
  );
  assert.equal(status, 0, stderr);
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function untilListens(port: number): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    const socket = connect(port, '127.0.0.1');
    const { promise, resolve } = Promise.withResolvers<boolean>();
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    const listens = await promise;
    socket.destroy();
    if (listens) return;
    await sleep(50);
  }
  throw new Error('nginx does not listen');
}
