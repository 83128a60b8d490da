import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { it, type TestContext } from 'node:test';

import { ServerProcess } from './server-process.ts';

const MANY = 10_000;
const ADMIN = { HEADWATER_ADMIN_EMAIL: 'a@example.org', HEADWATER_ADMIN_PASSWORD: 'correct horse battery' };

it('10,000 connections that say nothing, or only half of a request, hinder nobody and are closed', async (t) => {
  await using server = await started(t);
  const before = await memoryOf(server.ready.pid);
  const sockets: Socket[] = [];
  const open = new Set<Socket>();
  t.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  while (sockets.length < MANY) {
    const some = Array.from({ length: 200 }, () => connect(server.ready.port, '127.0.0.1'));
    await Promise.all(some.map((socket) => once(socket, 'connect')));
    for (const [index, socket] of some.entries()) {
      socket.on('error', () => undefined);
      open.add(socket);
      socket.on('close', () => open.delete(socket));
      socket.resume();
      if (index % 2 === 0) socket.write('GET /v1/me HTTP/1.1\r\nhost: x\r\nx-slow: ');
    }
    sockets.push(...some);
  }
  assert.ok(open.size > MANY / 2, 'they are held to begin with');
  const used = ((await memoryOf(server.ready.pid)) - before) / MANY;
  assert.ok(used < 24 * 1024, `${used} bytes for each`);
  for (let round = 0; round < 20; round++) {
    const body = JSON.stringify({ email: 'a@example.org', password: 'correct horse battery' });
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(`${server.url}/v1/auth/login`, { method: 'POST', headers, body });
    assert.equal(answer.status, 200);
    await answer.arrayBuffer();
  }
  // One more byte now and then keeps none of them.
  const trickle = setInterval(() => {
    for (const socket of sockets) if (socket.writable) socket.write('x');
  }, 2_000);
  try {
    const began = performance.now();
    while (open.size > 0) {
      assert.ok(performance.now() - began < 60_000, `${open.size} are still open`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  } finally {
    clearInterval(trickle);
  }
});

it('a body that is longer than it may be is refused before it is read', async (t) => {
  await using server = await started(t);
  const socket = connect(server.ready.port, '127.0.0.1');
  socket.write(
    'POST /v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 99999999\r\n\r\n{',
  );
  const [bytes] = (await once(socket, 'data')) as [Buffer];
  assert.match(bytes.toString(), /^HTTP\/1.1 413 [\s\S]*"code":"HW_TOO_LARGE"/);
  socket.destroy();
  // And one that does not say how long it is.
  const chunked = connect(server.ready.port, '127.0.0.1');
  chunked.on('error', () => undefined);
  chunked.write(
    'POST /v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n',
  );
  for (let index = 0; index < 20; index++) chunked.write(`1000\r\n${' '.repeat(4096)}\r\n`);
  const [answer] = (await once(chunked, 'data')) as [Buffer];
  assert.match(answer.toString(), /^HTTP\/1.1 413 [\s\S]*"code":"HW_TOO_LARGE"/);
  chunked.destroy();
});

it('a server that is to stop finishes what is under way, and ends well', async (t) => {
  await using server = await started(t);
  const socket = connect(server.ready.port, '127.0.0.1');
  const body = JSON.stringify({ email: 'a@example.org', password: 'correct horse battery' });
  const head = `POST /v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`;
  socket.write(head + body.slice(0, 10));
  const idle = connect(server.ready.port, '127.0.0.1');
  idle.resume();
  await once(idle, 'connect');
  // Once this is answered, what was sent before has arrived.
  assert.equal((await fetch(`${server.url}/healthz`)).status, 200);
  server.signal('SIGTERM');
  while (await reachable(server.ready.port)) await new Promise((resolve) => setTimeout(resolve, 10));
  socket.write(body.slice(10));
  const began = performance.now();
  assert.match(await text(socket), /^HTTP\/1.1 200 /);
  if (!idle.closed) await once(idle, 'close');
  // Neither the idle connection nor the one that is kept alive is waited for: the grace would be 5 s.
  assert.ok(performance.now() - began < 4_000);
  assert.deepEqual(await server.end(), { status: 0 });
  idle.destroy();
});

it('the log has neither passwords nor tokens', async (t) => {
  await using server = await started(t, ['--log', 'debug']);
  const body = JSON.stringify({ email: 'a@example.org', password: 'correct horse battery' });
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(`${server.url}/v1/auth/login`, { method: 'POST', headers, body });
  const { token } = (await answer.json()) as { token: string };
  const secret = 'a-secret-in-the-query';
  for (const path of ['/v1/me', `/v1/nothing?token=${secret}`, `/v1/me?token=${secret}`]) {
    await (await fetch(server.url + path, { headers: { authorization: `Bearer ${token}` } })).text();
  }
  await server.end();
  const log = server.log.join('\n');
  assert.match(log, /"route":"\/v1\/auth\/login"/);
  for (const each of [token, 'correct horse battery', secret]) assert.ok(!log.includes(each), log);
  for (const line of server.log) assert.equal(typeof JSON.parse(line), 'object');
});

async function started(t: TestContext, args: readonly string[] = []): Promise<ServerProcess> {
  const data = await mkdtemp(join(tmpdir(), 'headwater-connections-'));
  t.after(() => rm(data, { recursive: true, force: true }));
  return ServerProcess.start(data, { env: ADMIN, args });
}

async function reachable(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  const outcome = await Promise.race([once(socket, 'connect'), once(socket, 'error')]).then(
    () => true,
    () => false,
  );
  socket.destroy();
  return outcome;
}

/** Resident memory, bytes. */
async function memoryOf(pid: number): Promise<number> {
  const [, pages = '0'] = (await readFile(`/proc/${pid}/statm`, 'utf8')).split(' ');
  return Number(pages) * 4096;
}
