import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, test } from 'node:test';

import { MIB } from '../../src/core/chunks.ts';
import { BlockPool } from '../../src/file-server/block-pool.ts';
import { FileServer } from '../../src/file-server/file-server.ts';
import { CONNECTION_TIMES, type ConnectionTimes } from '../../src/file-server/http-server.ts';
import { SILENT } from '../../src/file-server/log.ts';
import { open, rawConnection, readToEnd, Served, until } from './serve-lab.ts';

const IDLE = 1_500;

async function connections(url: string, count: number): Promise<Socket[]> {
  const sockets: Socket[] = [];
  for (let made = 0; made < count; made += 100) {
    const some = Array.from({ length: Math.min(100, count - made) }, () => rawConnection(url));
    for (const socket of await Promise.all(some)) sockets.push(socket.on('error', () => undefined));
  }
  return sockets;
}

/** A second server on the same files that gives connections up sooner. */
async function impatient(
  served: Served,
  times: Partial<ConnectionTimes>,
): Promise<FileServer & AsyncDisposable> {
  const { answer } = served.server as FileServer;
  const options = {
    id: 2,
    answer,
    pool: new BlockPool(),
    limit: undefined,
    tls: undefined,
    grace: 0,
    times: { ...CONNECTION_TIMES, ...times },
    log: SILENT,
    onState: () => undefined,
    onFault: () => undefined,
  };
  const server = await FileServer.start(options, { port: 0, exact: true }, '127.0.0.1');
  return Object.assign(server, { [Symbol.asyncDispose]: () => server.end(0) });
}

describe('connections', () => {
  test('that do nothing do no harm, even when there are very many', async () => {
    const content = randomBytes(8 * MIB);
    await using served = await Served.of({ file: content });
    const before = process.memoryUsage().rss;
    const idle = await connections(served.url, IDLE);
    const used = (process.memoryUsage().rss - before) / IDLE;
    // Both ends of every connection are in this process.
    assert.ok(used < 64 * 1024, `${used} bytes each`);
    const half = idle.slice(0, IDLE / 2);
    for (const socket of half) socket.write('GET /file HTTP/1.1\r\nHost: x\r\nRange: bytes=0-9\r\n\r\n');
    await Promise.all(half.map((socket) => once(socket, 'data')));
    await until(() => served.server.status().clients === IDLE);
    const { body } = await served.ask('/file');
    assert.ok(body.equals(content));
    await served.serving.close(0);
    assert.equal(served.server.status().clients, 0);
  });

  test('that go away in the middle leave nothing behind', async () => {
    await using served = await Served.of({ file: randomBytes(32 * MIB) });
    const { readdir } = await import('node:fs/promises');
    const before = (await readdir('/proc/self/fd')).length;
    for (let turn = 0; turn < 5; turn++) {
      const responses = await Promise.all(Array.from({ length: 20 }, () => open(served.url, '/file')));
      for (const response of responses) response.destroy();
    }
    const isQuiet = () => {
      const { clients, answers } = served.server.status();
      return clients === 0 && answers === 0;
    };
    await until(isQuiet);
    const left = (await readdir('/proc/self/fd')).length;
    assert.ok(left <= before + 5, `${before} descriptors before, ${left} after`);
    assert.equal((await served.ask('/file', { Range: 'bytes=0-0' })).status, 206);
  });

  test('that ask for much in advance are answered in order', async () => {
    await using served = await Served.of({ file: randomBytes(MIB) });
    const socket = await rawConnection(served.url);
    const request = 'GET /file HTTP/1.1\r\nHost: x\r\n\r\n';
    socket.write(request.repeat(50) + request.replace('Host', 'Connection: close\r\nHost'));
    const text = await readToEnd(socket);
    assert.equal(text.split('HTTP/1.1 200 OK').length - 1, 51);
    assert.equal(served.server.status().bytesSent, 51 * MIB);
  });

  test('that ask for much in advance and go away leave nothing behind', async () => {
    await using served = await Served.of({ file: randomBytes(MIB) });
    const socket = await rawConnection(served.url);
    socket.write('GET /file HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(50));
    await once(socket, 'data');
    socket.destroy();
    await until(() => served.server.status().answers === 0 && served.server.status().clients === 0);
  });
});

describe('a connection is given up', () => {
  test('that drips its request head', async () => {
    await using served = await Served.of({ file: 'x' });
    await using server = await impatient(served, { header: 300 });
    const socket = await rawConnection(server.url);
    socket.write('GET /file HTTP/1.1\r\n');
    const drip = setInterval(() => socket.write('X: y\r\n'), 50);
    socket.on('error', () => undefined);
    const text = await readToEnd(socket);
    clearInterval(drip);
    assert.match(text, /^HTTP\/1.1 408 /);
  });

  test('that says nothing at all', async () => {
    await using served = await Served.of({ file: 'x' });
    await using server = await impatient(served, { header: 300 });
    const socket = await rawConnection(server.url);
    await readToEnd(socket);
  });

  test('that asks for nothing more', async () => {
    await using served = await Served.of({ file: 'x' });
    await using server = await impatient(served, { keepAlive: 200 });
    const socket = await rawConnection(server.url);
    socket.write('GET /file HTTP/1.1\r\nHost: x\r\n\r\n');
    assert.match(await readToEnd(socket), /^HTTP\/1.1 200 /);
  });

  test('that takes nothing of its answer', async () => {
    await using served = await Served.of({ file: randomBytes(64 * MIB) });
    await using server = await impatient(served, { send: 400 });
    const response = await open(server.url, '/file');
    response.pause();
    await until(() => server.status().clients === 0 && server.status().answers === 0);
    response.destroy();
  });
});

describe('a connection is kept', () => {
  test('whose client takes its time, as long as it takes something', async () => {
    const content = randomBytes(24 * MIB);
    await using served = await Served.of({ file: content });
    await using server = await impatient(served, { send: 500 });
    const response = await open(server.url, '/file');
    let bytes = 0;
    for await (const part of response) {
      bytes += (part as Buffer).length;
      // Slow for longer than the timeout in all, never for as long at once.
      if (bytes < 8 * MIB) await sleep(10);
    }
    assert.equal(bytes, content.length);
  });

  test('whose server is paused for longer than the timeout', async () => {
    const content = randomBytes(32 * MIB);
    await using served = await Served.of({ file: content });
    await using server = await impatient(served, { send: 200 });
    const response = await open(server.url, '/file');
    server.pause();
    await sleep(900);
    assert.equal(server.status().clients, 1);
    server.resume();
    let bytes = 0;
    for await (const part of response) bytes += (part as Buffer).length;
    assert.equal(bytes, content.length);
  });
});
