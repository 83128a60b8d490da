import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';

import { openConnection } from '../../../src/transport/open-connection.ts';
import { type WholeAnswer, readAll } from '../../../src/transport/read-all.ts';
import { defaultTransportSettings } from '../../../src/transport/settings.ts';
import { FaultServer, type Script, contentOfFile, first, madeUpContent } from '../../faults/fault-server.ts';
import { Collector } from './collector.ts';

const SIZE = 1_000_003;
const content = madeUpContent(17, SIZE);

async function asked(server: FaultServer, headers: Record<string, string> = {}): Promise<WholeAnswer> {
  const connection = openConnection(server.url, defaultTransportSettings);
  try {
    return await readAll(connection, { method: 'GET', url: server.url, headers }, 10_000_000);
  } finally {
    connection.close();
  }
}

async function oneAnswer(script: Script, range?: string): Promise<WholeAnswer> {
  await using server = await FaultServer.start({ content, script });
  return await asked(server, range === undefined ? {} : { Range: `bytes=${range}` });
}

function field({ head }: WholeAnswer, name: string): string | undefined {
  return head.headers.get(name);
}

function differing(a: Uint8Array, b: Uint8Array): number[] {
  assert.equal(a.length, b.length);
  return [...a.keys()].filter((i) => a[i] !== b[i]);
}

describe('made-up content', () => {
  it('is the same from any position, and another for another seed', () => {
    const all = content.read(0, SIZE);
    for (const [from, to] of [
      [0, 1],
      [1, 2],
      [3, 9],
      [4097, 70_001],
      [SIZE - 1, SIZE],
    ] as const) {
      assert.deepEqual(content.read(from, to), all.slice(from, to));
    }
    assert.notDeepEqual(madeUpContent(18, 100).read(0, 100), content.read(0, 100));
    const far = madeUpContent(17, 2 ** 40);
    assert.notDeepEqual(far.read(2 ** 34, 2 ** 34 + 64), far.read(0, 64));
  });
});

describe('the fault server', () => {
  it('answers ranges as it should when nothing else is asked of it', async () => {
    const some = await oneAnswer({ does: 'answer' }, '10-19');
    assert.equal(some.head.status, 206);
    assert.equal(field(some, 'content-range'), `bytes 10-19/${SIZE}`);
    assert.deepEqual(Uint8Array.from(some.body), content.read(10, 20));
    assert.equal((await oneAnswer({ does: 'answer' }, '-5')).body.length, 5);
    assert.equal((await oneAnswer({ does: 'answer' }, `${SIZE - 3}-`)).body.length, 3);
    const outside = await oneAnswer({ does: 'answer' }, `${SIZE}-`);
    assert.equal(outside.head.status, 416);
    assert.equal(field(outside, 'content-range'), `bytes */${SIZE}`);
  });

  it('serves a file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'headwater-fault-'));
    try {
      const path = join(folder, 'file');
      writeFileSync(path, content.read(0, 5000));
      await using server = await FaultServer.start({ content: contentOfFile(path) });
      const { body } = await asked(server, { Range: 'bytes=100-' });
      assert.deepEqual(Uint8Array.from(body), content.read(100, 5000));
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('lies as told', async () => {
    const honest = content.read(100, 200);
    const flipped = await oneAnswer({ does: 'flip a bit', at: 150 }, '100-199');
    assert.deepEqual(differing(flipped.body, honest), [50]);
    const lie = await oneAnswer({ does: 'lie', from: 190, to: 300 }, '100-199');
    assert.deepEqual(differing(lie.body, honest), [90, 91, 92, 93, 94, 95, 96, 97, 98, 99]);
    const allLies = await oneAnswer({ does: 'lie' }, '100-199');
    assert.ok(differing(allLies.body, honest).length > 90);
    const other = await oneAnswer({ does: 'hold another size', size: SIZE + 10 }, '100-199');
    assert.equal(field(other, 'content-range'), `bytes 100-199/${SIZE + 10}`);
    assert.deepEqual(Uint8Array.from(other.body), honest);
  });

  it('breaks ranges as told', async () => {
    const whole = await oneAnswer({ does: 'ignore ranges' }, '100-199');
    assert.equal(whole.head.status, 200);
    assert.equal(whole.body.length, SIZE);
    const bare = await oneAnswer({ does: 'state a range' }, '100-199');
    assert.equal(bare.head.status, 206);
    assert.equal(field(bare, 'content-range'), undefined);
    const wrong = await oneAnswer({ does: 'state a range', contentRange: 'bytes 0-99/5' }, '100-199');
    assert.equal(field(wrong, 'content-range'), 'bytes 0-99/5');
    const open = await oneAnswer({ does: 'shift the range', from: 0, to: -1, stated: true }, '100-199');
    assert.equal(field(open, 'content-range'), `bytes 100-198/${SIZE}`);
    assert.equal(open.body.length, 99);
    const hidden = await oneAnswer({ does: 'shift the range', from: 1, to: 1, stated: false }, '100-199');
    assert.equal(field(hidden, 'content-range'), `bytes 100-199/${SIZE}`);
    assert.deepEqual(Uint8Array.from(hidden.body), content.read(101, 201));
  });

  it('answers without the file as told', async () => {
    const busy = await oneAnswer({ does: 'refuse', status: 503, retryAfter: 7 });
    assert.deepEqual([busy.head.status, field(busy, 'retry-after')], [503, '7']);
    const moved = await oneAnswer({ does: 'redirect', to: 'http://127.0.0.1:1/', status: 307 });
    assert.deepEqual([moved.head.status, field(moved, 'location')], [307, 'http://127.0.0.1:1/']);
    const zipped = await oneAnswer({ does: 'compress' });
    assert.equal(field(zipped, 'content-encoding'), 'gzip');
  });

  it('says another ETag each time as told, and holds If-Range against its own', async () => {
    await using server = await FaultServer.start({ content, script: { does: 'change the ETag' } });
    const tags = [field(await asked(server), 'etag'), field(await asked(server), 'etag')];
    assert.equal(new Set(tags).size, 2);
    server.behave({ does: 'answer' });
    const headers = { Range: 'bytes=0-9', 'If-Range': '"other"' };
    assert.equal((await asked(server, headers)).head.status, 200);
  });

  it('falls silent as told', async () => {
    await using server = await FaultServer.start({ content, script: { does: 'fall silent', after: 70_000 } });
    const connection = openConnection(server.url, defaultTransportSettings);
    const there = Promise.withResolvers<void>();
    const collector = new Collector();
    const received = collector.received.bind(collector);
    collector.received = (length) => {
      received(length);
      if (collector.body.length === 70_000) there.resolve();
    };
    const reason = new Error('enough');
    const sent = assert.rejects(
      connection.send({ method: 'GET', url: server.url, headers: {} }, collector),
      reason,
    );
    await there.promise;
    assert.equal(server.counters.bytesSent, 70_000);
    connection.close(reason);
    await sent;
  });

  it('keeps to a rate as told', async () => {
    const started = performance.now();
    await oneAnswer({ does: 'answer', bytesPerSecond: 500_000 }, '0-99999');
    const seconds = (performance.now() - started) / 1000;
    assert.ok(seconds >= 0.19, `100,000 bytes took ${seconds} s`);
  });

  it('sends nothing while it is frozen', async () => {
    await using server = await FaultServer.start({ content });
    await using other = await FaultServer.start({ content });
    server.freeze();
    const answer = asked(server);
    assert.equal((await asked(other)).body.length, SIZE);
    assert.equal(server.counters.bytesSent, 0);
    server.thaw();
    assert.equal((await answer).body.length, SIZE);
  });

  it('counts, changes while it runs, goes away and comes back on the same port', async () => {
    await using server = await FaultServer.start({
      content,
      script: first(1, { does: 'refuse', status: 500 }),
    });
    assert.equal((await asked(server)).head.status, 500);
    await asked(server, { Range: 'bytes=5-9' });
    assert.deepEqual(server.counters.ranges, [{ from: 5, to: 10 }]);
    assert.equal(server.counters.requests, 2);
    server.forget();
    assert.equal(server.counters.requests, 0);
    const { port } = server;
    await server.leave();
    await assert.rejects(asked(server), { code: 'HW_CONNECT' });
    await server.comeBack();
    assert.equal(server.port, port);
    assert.equal((await asked(server)).head.status, 200);
  });
});
