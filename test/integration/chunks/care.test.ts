import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, open, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';

import { until } from '../serve-lab.ts';
import { ChunkFleet, ChunkServer, codeOf, someChunk, storedOf, type Content } from './chunk-lab.ts';

const MIB = 1024 * 1024;

async function flipBit(path: string): Promise<void> {
  const handle = await open(path, 'r+');
  const byte = Buffer.alloc(1);
  await handle.read(byte, 0, 1, 777);
  byte[0] = (byte[0] ?? 0) ^ 1;
  await handle.write(byte, 0, 1, 777);
  await handle.close();
}

function order(
  fleet: ChunkFleet,
  to: ChunkServer,
  content: Content,
  from: readonly { id: string; url: string }[],
) {
  fleet.event(to.id, 'chunks.copy', {
    order: crypto.randomUUID(),
    manifest: content.digest,
    chunks: [[0, content.chunks.length - 1]],
    sources: from.map(({ id, url }) => ({ id, url })),
  });
}

describe('chunks that the fleet wants copied', () => {
  it('are got from a holder, verified, kept and announced; twice ordered, once copied', async () => {
    await using fleet = await ChunkFleet.start();
    await using one = await ChunkServer.start(fleet);
    await using two = await ChunkServer.start(fleet);
    const content = fleet.publish(randomBytes(5 * MIB + 1));
    await one.hold(content);
    order(fleet, two, content, [one]);
    order(fleet, two, content, [one]);
    await until(() => two.holding(content)?.has === 'all');
    assert.deepEqual((await two.file(content)).body, content.bytes);
    assert.equal(two.holding(content)?.stored, true);
    fleet.event(two.id, 'content.dropped', { manifest: content.digest });
    await until(() => two.holding(content) === undefined);
  });

  it('come from whoever of the sources is there and has right ones', async () => {
    await using fleet = await ChunkFleet.start();
    await using bad = await ChunkServer.start(fleet);
    await using empty = await ChunkServer.start(fleet);
    await using good = await ChunkServer.start(fleet);
    await using target = await ChunkServer.start(fleet);
    const content = fleet.publish(randomBytes(4 * MIB));
    await bad.hold(content);
    await good.hold(content);
    for (const { digest } of content.chunks) await flipBit(bad.chunkPath(digest));
    const dead = { id: crypto.randomUUID(), url: 'http://127.0.0.1:9' };
    order(fleet, target, content, [dead, bad, empty, good]);
    await until(() => target.holding(content)?.has === 'all');
    assert.deepEqual((await target.file(content)).body, content.bytes);
  });

  it('are gone on with after the server was killed, without what it has', async () => {
    await using fleet = await ChunkFleet.start();
    await using one = await ChunkServer.start(fleet);
    const content = fleet.publish(randomBytes(8 * MIB));
    await one.hold(content);
    await using first = await ChunkServer.start(fleet, { args: ['--copy-rate', '4M'] });
    order(fleet, first, content, [one]);
    await until(() => {
      const has = first.holding(content)?.has;
      return has !== undefined && has !== 'all';
    });
    await first.kill();
    await using again = await ChunkServer.start(fleet, { data: first.data });
    await until(() => again.holding(content)?.has === 'all');
    assert.deepEqual((await again.file(content)).body, content.bytes);
  });

  it('of a content that is not wanted any more are left', async () => {
    await using fleet = await ChunkFleet.start();
    await using one = await ChunkServer.start(fleet);
    await using two = await ChunkServer.start(fleet);
    const gone = fleet.publish(randomBytes(MIB));
    const wanted = fleet.publish(randomBytes(MIB));
    await one.hold(gone);
    await one.hold(wanted);
    fleet.manifests.delete(gone.digest);
    order(fleet, two, gone, [one]);
    order(fleet, two, wanted, [one]);
    await until(() => two.holding(wanted)?.has === 'all');
    assert.equal(two.holding(gone), undefined);
    assert.equal(existsSync(two.chunkPath(gone.chunks[0]?.digest ?? '')), false);
  });
});

describe('a scrub', () => {
  it('finds a flipped bit, takes the chunk out of the holding, and a copy of it back in', async () => {
    await using fleet = await ChunkFleet.start();
    await using one = await ChunkServer.start(fleet, { args: ['--scrub-interval', '2s'] });
    await using two = await ChunkServer.start(fleet);
    const content = fleet.publish(randomBytes(3 * MIB));
    await one.hold(content);
    await two.hold(content);
    const bad = content.chunks[1]?.digest ?? '';
    await flipBit(one.chunkPath(bad));
    await until(() => one.holding(content)?.has !== 'all');
    assert.deepEqual(one.holding(content)?.has, [
      [0, 0],
      [2, 2],
    ]);
    assert.match((await readdir(join(one.data, 'quarantine'))).join(), new RegExp(bad));
    const told = await one.event('bad-chunk');
    assert.equal(told['name'], bad);
    order(fleet, one, content, [two]);
    await until(() => one.holding(content)?.has === 'all');
    assert.deepEqual((await one.file(content)).body, content.bytes);
  });
});

describe('a chunk store that is full', () => {
  const isRoot = process.getuid?.() === 0;

  it('refuses what goes past its capacity, says so, and keeps what it has', async () => {
    await using fleet = await ChunkFleet.start();
    await using one = await ChunkServer.start(fleet, { args: ['--capacity', '3M'] });
    await using two = await ChunkServer.start(fleet);
    const chunks = [someChunk(), someChunk(), someChunk()];
    for (const each of chunks) assert.equal((await one.put(each)).status, 200);
    await until(() => one.store?.open === false);
    const more = someChunk();
    const answer = await one.put(more);
    assert.deepEqual([answer.status, codeOf(answer)], [507, 'HW_NO_ROOM']);
    // It passes on what it has no room for.
    const { stored, failed } = storedOf(await one.put(more, [two]));
    assert.deepEqual(stored, [two.id]);
    assert.deepEqual(
      failed.map(({ id, code }) => [id, code]),
      [[one.id, 'HW_NO_ROOM']],
    );
    // What is here needs no room.
    assert.equal((await one.put(chunks[0] ?? more)).status, 200);
    assert.deepEqual(await one.check([more, ...chunks].map(({ digest }) => digest)), [
      false,
      true,
      true,
      true,
    ]);
  });

  it('takes nothing with a capacity of 0', async () => {
    await using fleet = await ChunkFleet.start();
    await using one = await ChunkServer.start(fleet, { args: ['--capacity', '0'] });
    assert.equal(codeOf(await one.put(someChunk())), 'HW_NO_ROOM');
  });

  it(
    'writes nothing by half on a disk that is full, with and without a reserve',
    { skip: isRoot ? false : 'mounting a small file system takes root' },
    async () => {
      const data = await mkdtemp(join(tmpdir(), 'headwater-small-disk-'));
      const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'none', data]);
      try {
        assert.equal(mounted.status, 0, String(mounted.stderr));
        await using fleet = await ChunkFleet.start();
        const reserving = await ChunkServer.start(fleet, {
          data,
          args: ['--reserve', '8M', '--capacity', '1G'],
        });
        assert.equal(codeOf(await reserving.put(someChunk(12 * MIB))), 'HW_DISK_FULL');
        assert.equal((await reserving.put(someChunk())).status, 200);
        await reserving.stop();
        // Without one the disk itself says it, in the middle of a chunk.
        const filling = await ChunkServer.start(fleet, {
          data,
          args: ['--reserve', '0', '--capacity', '1G'],
        });
        const sent = Array.from({ length: 20 }, () => someChunk());
        const answers = await Promise.all(sent.map((each) => filling.put(each)));
        const codes = answers.map((each) => (each.status === 200 ? 'stored' : codeOf(each)));
        assert.deepEqual([...new Set(codes)].sort(), ['HW_DISK_FULL', 'stored']);
        assert.deepEqual(await readdir(join(data, 'chunks', 'arriving')), []);
        const has = await filling.check(sent.map(({ digest }) => digest));
        assert.deepEqual(
          has,
          codes.map((each) => each === 'stored'),
        );
        for (const [at, each] of sent.entries()) {
          if (has[at] === true) assert.deepEqual((await filling.chunk(each.digest)).body, each.bytes);
        }
        await filling.stop();
      } finally {
        spawnSync('umount', [data]);
        await rm(data, { recursive: true, force: true });
      }
    },
  );
});
