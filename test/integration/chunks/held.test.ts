import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, open, readdir, rm, unlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';

import { rawConnection, until } from '../serve-lab.ts';
import { ChunkFleet, ChunkServer, codeOf, someChunk } from './chunk-lab.ts';

const MIB = 1024 * 1024;

describe('contents of which a file server holds chunks', () => {
  let fleet: ChunkFleet;
  let one: ChunkServer;

  before(async () => {
    fleet = await ChunkFleet.start();
    one = await ChunkServer.start(fleet);
  });

  after(async () => {
    await one[Symbol.asyncDispose]();
    await fleet[Symbol.asyncDispose]();
  });

  it('are announced and served, whole and in any range', async () => {
    const content = fleet.publish(randomBytes(3 * MIB + 12_345));
    await one.hold(content);
    assert.equal(one.holding(content)?.stored, true);
    const whole = await one.file(content);
    assert.equal(whole.status, 200);
    assert.deepEqual(whole.body, content.bytes);
    for (const [first, last] of [
      [0, 0],
      [MIB - 1, MIB],
      [MIB, 2 * MIB - 1],
      [100, 3 * MIB + 100],
      [3 * MIB, 3 * MIB + 12_344],
    ] as const) {
      const part = await one.file(content, `${first}-${last}`);
      assert.equal(part.status, 206);
      assert.deepEqual(part.body, content.bytes.subarray(first, last + 1));
    }
  });

  it('are served to who has a grant before the fleet has told of them', async () => {
    const content = fleet.publish(randomBytes(2 * MIB));
    for (const chunk of content.chunks) await one.put(chunk);
    const answer = await one.file(content);
    assert.equal(answer.status, 200);
    assert.deepEqual(answer.body, content.bytes);
    await until(() => one.holding(content)?.stored === true);
  });

  it('are not there where no chunk of them is', async () => {
    const answer = await one.file(fleet.publish(randomBytes(MIB)));
    assert.deepEqual([answer.status, codeOf(answer)], [404, 'HW_NOT_FOUND']);
  });

  it('are served as far as they are here, and what is not is told from it', async () => {
    const content = fleet.publish(randomBytes(4 * MIB));
    for (const at of [0, 1, 3]) await one.put(content.chunks[at] ?? someChunk());
    fleet.event(one.id, 'content.held', { manifest: content.digest });
    await until(() => one.holding(content) !== undefined);
    assert.deepEqual(one.holding(content)?.has, [
      [0, 1],
      [3, 3],
    ]);
    assert.deepEqual((await one.file(content, `0-${2 * MIB - 1}`)).body, content.bytes.subarray(0, 2 * MIB));
    for (const range of [`0-${2 * MIB}`, `${2 * MIB}-${2 * MIB}`, `${3 * MIB - 1}-${3 * MIB}`, undefined]) {
      const answer = await one.file(content, range);
      assert.deepEqual([answer.status, codeOf(answer)], [404, 'HW_NOT_HERE']);
    }
  });

  it('go with their chunks when they are dropped, but for those of others', async () => {
    const shared = randomBytes(MIB);
    const first = fleet.publish(Buffer.concat([randomBytes(MIB), shared, shared]));
    const second = fleet.publish(Buffer.concat([shared, randomBytes(MIB)]));
    await one.hold(first);
    await one.hold(second);
    fleet.event(one.id, 'content.dropped', { manifest: first.digest });
    fleet.event(one.id, 'content.dropped', { manifest: first.digest });
    await until(() => one.holding(first) === undefined);
    const own = first.chunks[0]?.digest ?? '';
    await until(() => !existsSync(one.chunkPath(own)));
    assert.deepEqual((await one.file(second)).body, second.bytes);
    fleet.manifests.delete(first.digest);
    assert.equal((await one.file(first)).status, 404);
    fleet.event(one.id, 'content.dropped', { manifest: second.digest });
    await until(() => !existsSync(one.chunkPath(second.chunks[0]?.digest ?? '')));
  });

  it('keep a chunk that an upload has asked for since', async () => {
    const content = fleet.publish(randomBytes(2 * MIB));
    await one.hold(content);
    const [kept = '', other = ''] = content.chunks.map(({ digest }) => digest);
    assert.deepEqual(await one.check([kept]), [true]);
    fleet.event(one.id, 'content.dropped', { manifest: content.digest });
    await until(() => !existsSync(one.chunkPath(other)));
    assert.deepEqual(await one.check([kept, other]), [true, false]);
  });

  it('lose single chunks that others have enough of', async () => {
    const content = fleet.publish(randomBytes(3 * MIB));
    await one.hold(content);
    fleet.event(one.id, 'chunks.drop', { manifest: content.digest, chunks: [[1, 1]] });
    await until(() => one.holding(content)?.has !== 'all');
    assert.deepEqual(one.holding(content)?.has, [
      [0, 0],
      [2, 2],
    ]);
    await until(() => !existsSync(one.chunkPath(content.chunks[1]?.digest ?? '')));
  });

  it('are dropped when the fleet says that nobody wants them any more', async () => {
    const content = fleet.publish(randomBytes(MIB));
    await one.hold(content);
    fleet.unwanted.add(content.digest);
    const another = fleet.publish(randomBytes(MIB));
    // Told all anew, as after a loss of the fleet's index.
    fleet.member(one.id).version = 0;
    await until(() => !existsSync(one.chunkPath(content.chunks[0]?.digest ?? '')));
    await one.hold(another);
    assert.equal(one.holding(content), undefined);
  });

  it('are not there for the fleet when a chunk is bad, and the bad one is kept apart', async () => {
    const content = fleet.publish(randomBytes(2 * MIB));
    await one.hold(content);
    const bad = content.chunks[1]?.digest ?? '';
    const handle = await open(one.chunkPath(bad), 'r+');
    await handle.write(Buffer.from('not what it was'), 0, 15, 1000);
    await handle.close();
    const { path, token } = fleet.grant(content.digest);
    const report = async (chunk: number) => {
      const response = await fetch(`${one.url}${path}/reports`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}` },
        body: JSON.stringify({ chunk }),
      });
      return response.json();
    };
    assert.deepEqual(await report(0), { verdict: 'good' });
    assert.deepEqual(await report(1), { verdict: 'bad' });
    await until(() => one.holding(content)?.has !== 'all');
    assert.deepEqual(one.holding(content)?.has, [[0, 0]]);
    assert.match((await readdir(join(one.data, 'quarantine'))).join(), new RegExp(bad));
    assert.equal(codeOf(await one.chunk(bad)), 'HW_NOT_HERE');
    // A good one in its place is taken, and counts for the content again.
    await one.put(content.chunks[1] ?? someChunk());
    fleet.event(one.id, 'content.held', { manifest: content.digest });
    await until(() => one.holding(content)?.has === 'all');
  });

  it('are not there for the fleet when a chunk is gone from the disk', async () => {
    const content = fleet.publish(randomBytes(2 * MIB));
    await one.hold(content);
    await unlink(one.chunkPath(content.chunks[0]?.digest ?? ''));
    const answer = await one.file(content);
    assert.deepEqual([answer.status, codeOf(answer)], [404, 'HW_NOT_HERE']);
    await until(() => one.holding(content)?.has !== 'all');
    assert.deepEqual(await one.check(content.chunks.map(({ digest }) => digest)), [false, true]);
  });
});

describe('a file server with chunks that is started again', () => {
  it('after SIGKILL in the middle of a chunk holds what it held, and serves nothing by half', async () => {
    await using fleet = await ChunkFleet.start();
    await using first = await ChunkServer.start(fleet);
    const content = fleet.publish(randomBytes(2 * MIB));
    await first.hold(content);
    const { digest, bytes } = someChunk(4 * MIB);
    const socket = await rawConnection(first.url);
    socket.on('error', () => undefined);
    socket.write(
      `PUT /v1/chunks/${digest} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${fleet.uploadToken()}\r\nContent-Length: ${bytes.length}\r\n\r\n`,
    );
    socket.write(bytes.subarray(0, 3 * MIB));
    const arriving = join(first.data, 'chunks', 'arriving');
    await until(async () => (await readdir(arriving)).length === 1);
    await first.kill();
    assert.equal((await readdir(arriving)).length, 1);
    // As if it had died between a chunk's file and its entry in the index.
    const stray = someChunk();
    await mkdir(dirname(first.chunkPath(stray.digest)), { recursive: true });
    await writeFile(first.chunkPath(stray.digest), stray.bytes);
    await using again = await ChunkServer.start(fleet, { data: first.data });
    assert.equal(again.id, first.id);
    assert.deepEqual(await readdir(arriving), []);
    assert.deepEqual((await again.file(content)).body, content.bytes);
    await until(async () => (await again.check([stray.digest]))[0] === true);
    assert.deepEqual(await again.check([digest]), [false]);
    assert.equal(codeOf(await again.chunk(digest)), 'HW_NOT_HERE');
  });

  it('makes its index anew from the folder when it is missing or broken', async () => {
    await using fleet = await ChunkFleet.start();
    await using first = await ChunkServer.start(fleet);
    const content = fleet.publish(randomBytes(3 * MIB));
    await first.hold(content);
    const single = someChunk();
    await first.put(single);
    await first.stop();
    const index = join(first.data, 'chunks.sqlite');
    for (const how of ['missing', 'broken']) {
      for (const each of ['', '-wal', '-shm']) await rm(`${index}${each}`, { force: true });
      if (how === 'broken') await writeFile(index, randomBytes(100_000));
      const again = await ChunkServer.start(fleet, { data: first.data });
      try {
        await until(async () => (await again.file(content)).status === 200);
        assert.deepEqual((await again.file(content)).body, content.bytes);
        assert.deepEqual(await again.check([single.digest]), [true]);
        await until(() => again.store?.chunks === 4);
        assert.equal(
          again.program.lines.some((line) => line.includes('is broken')),
          how === 'broken',
        );
      } finally {
        await again.stop();
      }
    }
    // What refers to what was counted anew, so that it goes when it is dropped.
    await using last = await ChunkServer.start(fleet, { data: first.data });
    fleet.event(last.id, 'content.dropped', { manifest: content.digest });
    await until(() => last.holding(content) === undefined);
  });

  it('tells the fleet of chunks that went while it was away', async () => {
    await using fleet = await ChunkFleet.start();
    await using first = await ChunkServer.start(fleet);
    const content = fleet.publish(randomBytes(3 * MIB));
    await first.hold(content);
    await first.kill();
    await unlink(first.chunkPath(content.chunks[2]?.digest ?? ''));
    await using again = await ChunkServer.start(fleet, { data: first.data });
    await until(() => again.holding(content)?.has !== 'all');
    assert.deepEqual(again.holding(content)?.has, [[0, 1]]);
  });
});
