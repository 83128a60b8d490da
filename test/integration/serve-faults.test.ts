import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import type { Server } from 'node:http';
import { describe, test } from 'node:test';

import type { HeadwaterError } from '../../src/core/errors.ts';
import { answersFrom } from '../../src/file-server/answer.ts';
import { BlockPool } from '../../src/file-server/block-pool.ts';
import { FileServer } from '../../src/file-server/file-server.ts';
import { CONNECTION_TIMES } from '../../src/file-server/http-server.ts';
import { BLOCK_BYTES } from '../../src/file-server/limits.ts';
import { SILENT } from '../../src/file-server/log.ts';
import type { OpenedFile, Store } from '../../src/file-server/store.ts';
import { ask, open, Served, until } from './serve-lab.ts';

const SIZE = 20 * BLOCK_BYTES;
const DIGESTS = { sha256: 'a'.repeat(64), manifestText: '{}', manifestSha256: 'b'.repeat(64) };

/** A file of zeros; `read` may do something else instead. */
class FakeFile implements OpenedFile {
  readonly name = 'file';
  readonly size = SIZE;
  readonly modified = 0;
  readonly digests = DIGESTS;
  readonly digestsIn = 0;
  readonly #fault: (position: number) => Error | 'end' | undefined;
  closed = 0;

  constructor(fault: (position: number) => Error | 'end' | undefined) {
    this.#fault = fault;
  }

  async findDigests(): Promise<undefined> {}

  read(
    block: Buffer,
    length: number,
    position: number,
    callback: (error: Error | null, bytes: number) => void,
  ): void {
    const fault = this.#fault(position);
    block.fill(0, 0, length);
    setImmediate(() => {
      if (fault instanceof Error) callback(fault, 0);
      else callback(null, fault === 'end' ? 0 : length);
    });
  }

  unchanged(): boolean {
    return true;
  }

  close(): void {
    this.closed++;
  }
}

async function serverOf(openFile: () => Promise<OpenedFile | undefined>) {
  const faults: HeadwaterError[] = [];
  const store: Store = { open: openFile, list: async () => ({ files: [], truncated: false }) };
  const server = await FileServer.start(
    {
      id: 1,
      answer: answersFrom(store),
      pool: new BlockPool(),
      limit: undefined,
      tls: undefined,
      grace: 0,
      times: CONNECTION_TIMES,
      log: SILENT,
      onState: () => undefined,
      onFault: (error) => faults.push(error),
    },
    { port: 0, exact: true },
    '127.0.0.1',
  );
  return { server, url: server.url, faults, [Symbol.asyncDispose]: () => server.end(0) };
}

const codeOf = (body: Buffer) => (JSON.parse(body.toString()) as { code: string }).code;

describe('a fault', () => {
  test('of the program itself is answered with 500, told, and the server goes on', async () => {
    let turn = 0;
    const file = new FakeFile(() => undefined);
    await using lab = await serverOf(async () => {
      if (turn++ === 0) throw new TypeError('a defect');
      return file;
    });
    const answer = await ask(lab.url, '/file');
    assert.equal(answer.status, 500);
    assert.equal(codeOf(answer.body), 'HW_INTERNAL');
    assert.ok(!answer.body.includes('a defect'), 'what went wrong inside is nobody else’s business');
    assert.deepEqual(
      lab.faults.map(({ code }) => code),
      ['HW_INTERNAL'],
    );
    assert.equal((await ask(lab.url, '/file')).body.length, SIZE);
    assert.equal(file.closed, 1);
  });

  test('of the disk before the first byte is answered with 500', async () => {
    const file = new FakeFile(() => Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' }));
    await using lab = await serverOf(async () => file);
    const answer = await ask(lab.url, '/file');
    assert.equal(answer.status, 500);
    assert.equal(codeOf(answer.body), 'HW_DISK');
    assert.equal(answer.headers['repr-digest'], undefined);
    assert.equal(lab.faults.length, 1);
    assert.equal(file.closed, 1);
  });

  test('of the disk further on cuts the connection, and only that one', async () => {
    const broken = new FakeFile((position) => (position >= 10 * BLOCK_BYTES ? new Error('EIO') : undefined));
    const whole = new FakeFile(() => undefined);
    const files = [broken, whole];
    await using lab = await serverOf(async () => files.shift());
    const first = await open(lab.url, '/file');
    const second = await ask(lab.url, '/file');
    assert.equal(second.body.length, SIZE);
    let bytes = 0;
    await assert.rejects(async () => {
      for await (const part of first) bytes += (part as Buffer).length;
    });
    assert.ok(bytes <= 10 * BLOCK_BYTES);
    assert.deepEqual(
      lab.faults.map(({ code }) => code),
      ['HW_DISK'],
    );
    assert.deepEqual([broken.closed, whole.closed], [1, 1]);
    assert.equal(lab.server.status().answers, 0);
  });

  test('of a file that ends too soon is a change of it', async () => {
    const file = new FakeFile(() => 'end');
    await using lab = await serverOf(async () => file);
    const answer = await ask(lab.url, '/file');
    assert.equal(answer.status, 503);
    assert.equal(answer.headers['retry-after'], '1');
    assert.equal(file.closed, 1);
  });

  test('of a client that leaves while its file is opened closes the file', async () => {
    const file = new FakeFile(() => undefined);
    const opening = Promise.withResolvers<OpenedFile>();
    await using lab = await serverOf(() => opening.promise);
    const { hostname, port } = new URL(lab.url);
    const { connect } = await import('node:net');
    const socket = connect(Number(port), hostname);
    await once(socket, 'connect');
    socket.end('GET /file HTTP/1.1\r\nHost: x\r\n\r\n');
    await until(() => lab.server.status().clients === 1);
    socket.destroy();
    await until(() => lab.server.status().clients === 0);
    opening.resolve(file);
    await until(() => file.closed === 1);
    assert.equal(lab.server.status().answers, 0);
  });

  test('of a listening socket ends its server and no other', async () => {
    await using served = await Served.of({ file: 'content' }, { count: 2 });
    const [first, second] = served.serving.servers;
    assert.ok(first && second);
    let http: Server | undefined;
    const watch = (message: unknown) => {
      http = (message as { server: Server }).server;
    };
    subscribe('http.server.request.start', watch);
    await ask(first.url, '/file');
    unsubscribe('http.server.request.start', watch);
    http?.emit('error', Object.assign(new Error('the socket broke'), { code: 'EBADF' }));
    assert.equal(first.state, 'failed');
    await assert.rejects(ask(first.url, '/file'), { code: 'ECONNREFUSED' });
    assert.equal((await ask(second.url, '/file')).body.toString(), 'content');
    const fault = served.events.find(({ event }) => event === 'fault');
    assert.ok(fault?.event === 'fault' && fault.code === 'HW_LISTEN' && fault.id === 1);
    await first.end();
    await second.end();
    await served.serving.closed;
  });
});
