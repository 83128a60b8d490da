import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { appendFile, glob, mkdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { test, type TestContext } from 'node:test';

import type { FileDetails } from '../../src/core/api/files.ts';
import { connect } from '../../src/index.ts';
import { madeUpContent } from '../faults/content.ts';
import { EMAIL, PASSWORD, Place, until, type UpProcess } from './fleet/up-process.ts';
import { PutProcess } from './fleet/put-process.ts';

const MIB = 1024 * 1024;
const SIZE = 160 * MIB + 12_345;

interface Fleet {
  readonly place: Place;
  readonly up: UpProcess;
  readonly url: string;
}

async function fleetOfFour(t: TestContext): Promise<Fleet> {
  const place = await Place.make(t);
  const up = place.up(['--servers', '4', '--zones', 'a,b']);
  const { url } = await up.ready();
  await place.login(url);
  return { place, up, url };
}

/** A file to publish; its bytes are another one's only where the seed is. */
async function made(
  { folder }: Place,
  name: string,
  seed: number,
  size = SIZE,
): Promise<{ path: string; sha256: string }> {
  const bytes = madeUpContent(seed, size).read(0, size);
  const path = join(folder, name);
  await writeFile(path, bytes);
  return { path, sha256: createHash('sha256').update(bytes).digest('hex') };
}

async function put(place: Place, ...args: string[]) {
  return new PutProcess(place, args).done();
}

async function info(place: Place, name: string): Promise<FileDetails> {
  const [file] = await place.objects<FileDetails>('info', name);
  assert.ok(file !== undefined);
  return file;
}

/** Copies of the chunk that has the fewest, and zones of the one that is in the fewest. */
function least({ chunks, servers }: FileDetails): { copies: number; zones: number } {
  let [copies, zones] = [Infinity, Infinity];
  for (let chunk = 0; chunk < chunks; chunk++) {
    const holders = servers.filter(
      ({ has }) => has === 'all' || has.some(([first, last]) => first <= chunk && chunk <= last),
    );
    copies = Math.min(copies, holders.length);
    zones = Math.min(zones, new Set(holders.map(({ zone }) => zone)).size);
  }
  return { copies, zones };
}

async function chunksOnDisk(place: Place): Promise<number> {
  let number = 0;
  for await (const path of glob('**/chunks/*/*/*', { cwd: place.data }))
    if (/[0-9a-f]{64}$/.test(path)) number++;
  return number;
}

async function sha256Of(path: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
}

test('a file that was put is there in two zones, comes back without one of them, and is put again for nothing', async (t) => {
  const fleet = await fleetOfFour(t);
  const { place, up } = fleet;
  const { path, sha256 } = await made(place, 'big.bin', 1);

  const first = await put(place, path, '--replicas', '2');
  assert.deepEqual(
    {
      name: first.name,
      size: first.size,
      sha256: first.sha256,
      sent: first.bytesSent,
      skipped: first.bytesSkipped,
    },
    { name: 'big.bin', size: SIZE, sha256, sent: SIZE, skipped: 0 },
  );
  assert.deepEqual(least(await info(place, 'big.bin')), { copies: 2, zones: 2 });
  assert.match((await place.run('info', 'big.bin')).stdout, /^copies +2 of every chunk$/m);

  await t.test('again, under another name and under its own, it sends nothing', async () => {
    const again = await put(place, path, '--replicas', '2', '--name', 'copies/big.bin');
    assert.deepEqual([again.bytesSent, again.bytesSkipped], [0, SIZE]);
    const same = await put(place, path);
    assert.deepEqual([same.id, same.bytesSent, same.bytesSkipped], [first.id, 0, SIZE]);
  });

  await t.test('two servers are lost, all of one zone', async () => {
    up.type('e1');
    up.type('e3');
    await up.state(1, 'ended');
    await up.state(3, 'ended');
    const output = join(place.folder, 'came');
    await place.ok('get', 'big.bin', '-o', output, '-q');
    assert.equal(await sha256Of(output), sha256);
    up.type('r1');
    up.type('r3');
    await up.state(1, 'running');
    await up.state(3, 'running');
  });

  await t.test('deleted, its bytes go from the disks', async () => {
    assert.ok((await chunksOnDisk(place)) >= 2 * 161);
    await place.ok('rm', '--yes', 'big.bin', 'copies/big.bin');
    await until(async () => (await chunksOnDisk(place)) === 0);
  });
});

test('a put goes on through what happens to it', async (t) => {
  const fleet = await fleetOfFour(t);
  const { place, up } = fleet;
  const { servers } = await up.ready();

  await t.test('a file server is killed in the middle', async () => {
    const { path, sha256 } = await made(place, 'killed-server', 11);
    const running = new PutProcess(place, [path, '--replicas', '2']);
    await running.came(30 * MIB);
    process.kill(servers[1]?.pid ?? 0, 'SIGKILL');
    assert.equal((await running.done()).sha256, sha256);
    assert.deepEqual(least(await info(place, 'killed-server')), { copies: 2, zones: 2 });
  });

  await t.test('a file server is ended in the middle, and stays away', async () => {
    const { path } = await made(place, 'ended-server', 12);
    const running = new PutProcess(place, [path, '--replicas', '2']);
    await running.came(30 * MIB);
    up.type('e4');
    await running.done();
    const { servers: holders, ...file } = await info(place, 'ended-server');
    const there = holders.filter(({ name }) => name !== 'server-4');
    assert.ok(least({ ...file, servers: there }).copies >= 1);
    assert.ok(least({ ...file, servers: holders }).copies >= 2);
    up.type('r4');
    await up.state(4, 'running');
  });

  await t.test('the information server is killed in the middle', async () => {
    const { path, sha256 } = await made(place, 'killed-information', 13);
    const running = new PutProcess(place, [path, '--replicas', '2']);
    await running.came(30 * MIB);
    const { informationServers } = await up.ready();
    process.kill(informationServers[0]?.pid ?? 0, 'SIGKILL');
    assert.equal((await running.done()).sha256, sha256);
    assert.equal(least(await info(place, 'killed-information')).copies, 2);
  });

  await t.test('the client is killed in the middle, and run again', async () => {
    const { path, sha256 } = await made(place, 'killed-client', 14);
    const running = new PutProcess(place, [path, '--replicas', '2']);
    await running.came(100 * MIB);
    running.process.kill('SIGKILL');
    await running.ended;
    const { status } = await place.run('info', 'killed-client');
    assert.equal(status, 3, 'nobody sees it before it is whole');
    const again = await put(place, path, '--replicas', '2');
    assert.equal(again.sha256, sha256);
    assert.ok(again.bytesSkipped >= 20 * MIB, `${again.bytesSkipped} were there`);
    assert.equal(again.bytesSent + again.bytesSkipped, SIZE);
  });

  await t.test('Ctrl-C keeps what was sent, says so, and the same command goes on', async () => {
    const { path } = await made(place, 'stopped', 15);
    const running = new PutProcess(place, [path, '--replicas', '2']);
    await running.came(100 * MIB);
    running.process.kill('SIGINT');
    const { code } = await running.ended;
    assert.equal(code, 130);
    assert.match(running.stderr, /stopped; .* MiB of 160 MiB are in the fleet and kept there until 2/);
    assert.match(running.stderr, /go on with: .*put /);
    assert.ok((await put(place, path, '--replicas', '2')).bytesSkipped > 0);
  });

  await t.test('the file changes in the middle: nothing is published', async () => {
    const { path } = await made(place, 'changing', 16);
    const running = new PutProcess(place, [path, '--replicas', '2']);
    await running.came(30 * MIB);
    await appendFile(path, 'more');
    const { code } = await running.ended;
    assert.equal(code, 5);
    assert.match(running.stderr, /changed while it was read.*HW_INPUT_CHANGED/);
    assert.equal((await place.run('info', 'changing')).status, 3);
  });
});

test('names, folders, streams', async (t) => {
  const fleet = await fleetOfFour(t);
  const { place } = fleet;

  await t.test('a name that is taken is a conflict; --replace takes it', async () => {
    const one = await made(place, 'one', 21, 3 * MIB);
    const other = await made(place, 'other', 22, 3 * MIB);
    const first = await put(place, one.path, '--name', 'taken');
    const refused = await place.run('put', other.path, '--name', 'taken');
    assert.equal(refused.status, 2);
    assert.match(refused.stderr, /taken.*HW_CONFLICT/);
    const second = await put(place, other.path, '--name', 'taken', '--replace');
    assert.notEqual(second.id, first.id);
    assert.equal((await info(place, 'taken')).sha256, other.sha256);
    assert.equal((await place.run('info', first.id)).status, 3);
  });

  await t.test('two puts of one name at once: one wins, the other is told', async () => {
    const one = await made(place, 'racer-1', 23, 20 * MIB);
    const other = await made(place, 'racer-2', 24, 20 * MIB);
    const both = [one, other].map(({ path }) => new PutProcess(place, [path, '--name', 'race']));
    const codes = await Promise.all(both.map(async ({ ended }) => (await ended).code));
    assert.deepEqual(
      codes.toSorted((a, b) => Number(a) - Number(b)),
      [0, 2],
    );
    assert.match(both.map(({ stderr }) => stderr).join(''), /HW_CONFLICT/);
  });

  await t.test(
    'a folder keeps its paths, an empty file among them; what is no file is left out',
    async () => {
      const folder = join(place.folder, 'tree');
      await mkdir(join(folder, 'deep', 'er'), { recursive: true });
      await writeFile(join(folder, 'a.txt'), 'a');
      await writeFile(join(folder, 'deep', 'er', 'b.txt'), 'b'.repeat(2 * MIB));
      await writeFile(join(folder, 'empty'), '');
      await symlink(folder, join(folder, 'deep', 'circle'));
      const { status, stderr } = await place.run('put', folder, '-q');
      assert.equal(status, 0, stderr);
      assert.match(stderr, /circle: left out/);
      const names = (await place.objects<{ name: string }>('ls')).map(({ name }) => name);
      assert.deepEqual(
        names.filter((name) => name.startsWith('tree/')),
        ['tree/a.txt', 'tree/deep/er/b.txt', 'tree/empty'],
      );
      const output = join(place.folder, 'b');
      await place.ok('get', 'tree/deep/er/b.txt', '-o', output, '-q');
      assert.equal(await readFile(output, 'utf8'), 'b'.repeat(2 * MIB));
      const empty = join(place.folder, 'e');
      await place.ok('get', 'tree/empty', '-o', empty, '-q');
      assert.equal((await stat(empty)).size, 0);
    },
  );

  await t.test('standard input', async () => {
    const bytes = madeUpContent(25, 10 * MIB + 1).read(0, 10 * MIB + 1);
    const running = new PutProcess(place, ['-', '--name', 'from/stdin']);
    running.process.stdin.end(bytes);
    const done = await running.done();
    assert.equal(done.sha256, createHash('sha256').update(bytes).digest('hex'));
    assert.equal((await place.run('put', '-')).status, 2, 'it has no name of its own');
  });

  await t.test('the same in a program, with progress and an end from outside', async () => {
    const { path, sha256 } = await made(place, 'library', 26);
    await using calling = await connect(fleet.url, { email: EMAIL, password: PASSWORD });
    const stop = new AbortController();
    const stopped = calling.upload(path, {
      name: 'by/program',
      interval: 0.05,
      signal: stop.signal,
      onEvent: (event) => {
        // More than can be on its way at once: some chunks have their copies.
        if (event.event === 'progress' && event.bytes > 100 * MIB) stop.abort();
      },
    });
    await assert.rejects(stopped, { code: 'HW_INTERRUPTED' });
    const report = await calling.upload(path, { name: 'by/program', replicas: 2 });
    assert.equal(report.sha256, sha256);
    assert.ok(report.bytesSkipped > 0);
    const streamed = await calling.upload(Readable.from([Buffer.from('abc'), Buffer.from('def')]), {
      name: 's',
    });
    assert.equal(streamed.size, 6);
    await assert.rejects(calling.upload(Readable.from([]), {}), { code: 'HW_USAGE' });
    await assert.rejects(calling.upload(path, { replcas: 1 } as object), { code: 'HW_USAGE' });
  });
});
