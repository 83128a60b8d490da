import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, test } from 'node:test';

import { MIB } from '../../src/core/chunks.ts';
import { open, rawConnection, readToEnd, Served, until } from './serve-lab.ts';

const SIZE = 64 * MIB;
/** What sockets and streams on both sides may hold when the server stops. */
const BUFFERED = 24 * MIB;

/** Reads what comes, and counts it. */
class Reader {
  readonly parts: Buffer[] = [];
  bytes = 0;
  readonly ended: Promise<unknown>;

  constructor(response: IncomingMessage) {
    response.on('data', (part: Buffer) => {
      this.parts.push(part);
      this.bytes += part.length;
    });
    this.ended = once(response, 'end');
  }

  /** Resolves when nothing has come for a while. */
  async still(): Promise<void> {
    for (let before = -1; before !== this.bytes;) {
      before = this.bytes;
      await sleep(250);
    }
  }
}

describe('a paused server', () => {
  test('sends nothing on its connections and goes on with the same answers when it is resumed', async () => {
    const content = randomBytes(SIZE);
    await using served = await Served.of({ file: content });
    const response = await open(served.url, '/file');
    const other = await open(served.url, '/file', { Range: 'bytes=1000-' });
    served.server.pause();
    const reader = new Reader(response);
    const otherReader = new Reader(other);
    await reader.still();
    assert.ok(reader.bytes < BUFFERED, `${reader.bytes}`);
    assert.equal(response.complete, false);
    const { state, clients, answers, bytesSent } = served.server.status();
    assert.deepEqual({ state, clients, answers }, { state: 'paused', clients: 2, answers: 2 });
    await sleep(200);
    assert.equal(served.server.status().bytesSent, bytesSent);

    served.server.resume();
    await Promise.all([reader.ended, otherReader.ended]);
    assert.ok(Buffer.concat(reader.parts).equals(content));
    assert.ok(Buffer.concat(otherReader.parts).equals(content.subarray(1000)));
    assert.equal(served.server.status().bytesSent, 2 * SIZE - 1000);
  });

  test('answers 503 to what is new, on new connections and old ones', async () => {
    await using served = await Served.of({ file: 'content' });
    const socket = await rawConnection(served.url);
    const request = 'GET /file HTTP/1.1\r\nHost: x\r\n\r\n';
    socket.write(request);
    const [first] = (await once(socket, 'data')) as [Buffer];
    assert.match(first.toString(), /^HTTP\/1.1 200/);
    served.server.pause();
    for (const path of ['/file', '/file?manifest', '/', '/none']) {
      const { status, headers, body } = await served.ask(path);
      assert.equal(status, 503);
      assert.equal(headers['retry-after'], '5');
      const { code, details } = JSON.parse(body.toString()) as { code: string; details: object };
      assert.deepEqual(
        { code, details },
        { code: 'HW_UNAVAILABLE', details: { reason: 'paused', retryAfter: 5 } },
      );
    }
    socket.write(request);
    const [second] = (await once(socket, 'data')) as [Buffer];
    assert.match(second.toString(), /^HTTP\/1.1 503/);
    served.server.resume();
    socket.write(request.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'));
    assert.match(await readToEnd(socket), /^HTTP\/1.1 200/);
  });

  test('does not hold up the others', async () => {
    const content = randomBytes(MIB);
    await using served = await Served.of({ file: content }, { count: 3, ports: [0] });
    const [first, second, third] = served.serving.servers;
    assert.ok(first && second && third);
    first.pause();
    await third.end();
    const answer = await served.ask('/file');
    assert.equal(answer.status, 503);
    const other = await open(second.url, '/file');
    const reader = new Reader(other);
    await reader.ended;
    assert.ok(Buffer.concat(reader.parts).equals(content));
    await assert.rejects(open(third.url, '/file'), { code: 'ECONNREFUSED' });
    assert.deepEqual(
      served.serving.servers.map(({ state }) => state),
      ['paused', 'running', 'ended'],
    );
  });

  test('changes nothing when it is told the same again', async () => {
    await using served = await Served.of({ file: 'x' });
    served.server.resume();
    served.server.pause();
    served.server.pause();
    served.server.resume();
    const states = served.events.filter(({ event }) => event === 'state');
    assert.equal(states.length, 2);
    assert.equal((await served.ask('/file')).status, 200);
  });
});

describe('an ended server', () => {
  test('finishes what is under way, and takes nothing new', async () => {
    const content = randomBytes(SIZE);
    await using served = await Served.of({ file: content }, { grace: 30 });
    const response = await open(served.url, '/file');
    const idle = await rawConnection(served.url);
    const ended = served.server.end();
    assert.equal(await readToEnd(idle), '');
    await assert.rejects(open(served.url, '/file'), { code: 'ECONNREFUSED' });
    assert.equal(served.server.state, 'ending');
    const reader = new Reader(response);
    await reader.ended;
    assert.ok(Buffer.concat(reader.parts).equals(content));
    await ended;
    assert.equal(served.server.state, 'ended');
    await served.serving.closed;
    assert.equal(served.events.at(-1)?.event, 'end');
  });

  for (const [what, act] of [
    ['after its grace', (served: Served) => served.server.end(0.05)],
    [
      'when it is told again',
      (served: Served) => {
        void served.server.end(30);
        return served.server.end();
      },
    ],
    [
      'at once when it is paused, for nothing could finish',
      (served: Served) => {
        served.server.pause();
        return served.server.end(30);
      },
    ],
    ['by the end of all', (served: Served) => served.serving.close(0)],
  ] as const) {
    test(`cuts off what is under way ${what}`, async () => {
      await using served = await Served.of({ file: randomBytes(SIZE) });
      const response = await open(served.url, '/file');
      await act(served);
      await assert.rejects(async () => {
        for await (const _ of response);
      });
      assert.equal(served.server.state, 'ended');
      assert.equal(served.server.status().clients, 0);
    });
  }

  test('is ended by the signal that serving was given', async () => {
    const controller = new AbortController();
    await using served = await Served.of({ file: 'x' }, { signal: controller.signal, count: 2 });
    controller.abort();
    await served.serving.closed;
    await until(() => served.serving.servers.every(({ state }) => state === 'ended'));
  });
});
