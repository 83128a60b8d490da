import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { appendFile, link, mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { open } from 'node:fs/promises';
import { describe, test } from 'node:test';

import { MIB } from '../../src/core/chunks.ts';
import { canonicalManifest, parseManifest } from '../../src/core/manifest.ts';
import { FileServerProgram, StandInFleet } from './file-server-lab.ts';
import { Files, until } from './serve-lab.ts';

const sha256 = (data: string | Uint8Array) => createHash('sha256').update(data).digest('hex');

describe('a file server of a fleet announces', () => {
  test('what is in its folder, and sends the manifests that are wanted', async () => {
    await using fleet = await StandInFleet.start();
    const big = randomBytes(5 * MIB + 1);
    await using files = await Files.of({ 'big.bin': big, 'a/b/c.txt': 'c', '.hidden/x': 'x', empty: '' });
    await using server = await FileServerProgram.start([fleet.url], files.folder);
    await server.event('announced', ({ files: count }) => count === 3);
    assert.deepEqual(fleet.names, ['a/b/c.txt', 'big.bin', 'empty']);
    const { size, sha256: digest, manifestSha256, has } = fleet.holding('big.bin');
    assert.deepEqual({ size, digest, has }, { size: big.length, digest: sha256(big), has: 'all' });
    assert.equal(fleet.manifests.size, 3);
    const text = fleet.manifests.get(manifestSha256) ?? '';
    assert.equal(sha256(text), manifestSha256);
    const manifest = parseManifest(text, 'test');
    assert.equal(canonicalManifest(manifest), text);
    assert.equal(manifest.chunks[5], sha256(big.subarray(5 * MIB)));
  });

  test('what comes, goes, moves and changes', async () => {
    await using fleet = await StandInFleet.start();
    await using files = await Files.of({ 'a.txt': 'a', 'b/b.txt': 'b', 'c/d/e.txt': 'e' });
    await using server = await FileServerProgram.start([fleet.url], files.folder);
    await until(() => fleet.names.length === 3);
    await files.write('new/deep/f.txt', 'f');
    await until(() => fleet.names.includes('new/deep/f.txt'));
    await rm(files.path('b'), { recursive: true });
    await until(() => !fleet.names.includes('b/b.txt'));
    await rename(files.path('c/d'), files.path('moved'));
    await until(() => fleet.names.includes('moved/e.txt') && !fleet.names.includes('c/d/e.txt'));
    const before = fleet.grant('a.txt');
    assert.equal((await server.ask(before.path, before.token)).body.toString(), 'a');
    await writeFile(files.path('a.txt'), 'another');
    // Not announced any more at once, and never sent under its old grant.
    await until(() => !fleet.names.includes('a.txt'));
    assert.equal((await server.ask(before.path, before.token)).status, 404);
    await until(() => fleet.names.includes('a.txt'));
    assert.equal(fleet.holding('a.txt').sha256, sha256('another'));
    const after = fleet.grant('a.txt');
    assert.equal((await server.ask(after.path, after.token)).body.toString(), 'another');
    assert.deepEqual(
      fleet.announcements.filter(({ from }) => from === 0).length,
      1,
      'everything was told once, and then only what changed',
    );
  });

  test('a file that is being written only when it is whole', async () => {
    await using fleet = await StandInFleet.start();
    await using files = await Files.of({ 'a.txt': 'a' });
    await using server = await FileServerProgram.start([fleet.url], files.folder);
    await until(() => fleet.names.length === 1);
    const end = performance.now() + 5_000;
    let written = '';
    while (performance.now() < end) {
      const some = randomBytes(1_000).toString('hex');
      written += some;
      await appendFile(files.path('growing'), some);
      await new Promise((resolve) => {
        setTimeout(resolve, 100);
      });
    }
    const told = () =>
      fleet.announcements.flatMap(({ added }) => added).filter(({ name }) => name === 'growing');
    assert.deepEqual(told(), []);
    await until(() => fleet.names.includes('growing'));
    assert.deepEqual(
      told().map(({ sha256: digest }) => digest),
      [sha256(written)],
    );
    void server;
  });

  test('a content once, however many names it has, and as long as one of them is there', async () => {
    await using fleet = await StandInFleet.start();
    await using files = await Files.of({ 'one.txt': 'same', 'two.txt': 'same' });
    await link(files.path('one.txt'), files.path('three.txt'));
    await symlink('one.txt', files.path('four.txt'));
    await using server = await FileServerProgram.start([fleet.url], files.folder);
    await server.event('announced', ({ files: count }) => count === 1);
    const grant = fleet.grant(fleet.names[0] ?? '');
    for (const name of ['one.txt', 'three.txt']) {
      await rm(files.path(name));
      await until(async () => (await server.ask(grant.path, grant.token)).body.toString() === 'same');
    }
    await rm(files.path('two.txt'));
    await until(() => fleet.names.length === 0);
  });

  test('more files than one announcement takes, page by page, and nothing outside of the folder', async () => {
    await using fleet = await StandInFleet.start();
    const many = Object.fromEntries(
      Array.from({ length: 2_300 }, (_, index) => [`d${index % 7}/f${index}`, `${index}`]),
    );
    await using files = await Files.of(many);
    await using outside = await Files.of({ secret: 'secret' });
    await symlink(outside.path('secret'), files.path('link'));
    await symlink(outside.folder, files.path('folder'));
    await using server = await FileServerProgram.start([fleet.url], files.folder);
    await until(() => fleet.names.length === 2_300, 60_000);
    assert.ok(fleet.announcements.every(({ added }) => added.length <= 1_000));
    // Somebody lost it all: everything is told again, in pages.
    fleet.version = 0;
    fleet.holdings.clear();
    const before = fleet.announcements.length;
    await until(() => fleet.names.length === 2_300);
    const again = fleet.announcements.slice(before);
    assert.deepEqual(
      again.map(({ from, last }) => [from === 0, last]),
      [
        [true, false],
        [false, false],
        [false, true],
      ],
    );
    void server;
  });

  test('names that no fleet takes not, and says so', async () => {
    await using fleet = await StandInFleet.start();
    await using files = await Files.of({ good: 'x', 'bad\nname': 'y', 'back\\slash': 'z' });
    await using server = await FileServerProgram.start([fleet.url], files.folder);
    await server.event('announced', ({ files: count }) => count === 1);
    assert.deepEqual(fleet.names, ['good']);
    await server.event('fault', ({ message }) => String(message).includes('bad\\nname'));
  });
});

describe('a file server that is started again', () => {
  test('after SIGKILL is the same one, reads nothing again and tells only what changed', async () => {
    await using fleet = await StandInFleet.start();
    await using files = await Files.of({ 'big.bin': randomBytes(20 * MIB), 'a.txt': 'a', 'b.txt': 'b' });
    await using first = await FileServerProgram.start([fleet.url], files.folder);
    await first.event('announced', ({ files: count }) => count === 3);
    await first.kill();
    await files.write('c.txt', 'c');
    await rm(files.path('b.txt'));
    const told = fleet.announcements.length;
    await using second = await FileServerProgram.start([fleet.url], files.folder, { data: first.data });
    await until(() => fleet.names.join() === 'a.txt,big.bin,c.txt');
    await second.event('announced', ({ files: count }) => count === 3);
    const changes = fleet.announcements.slice(told);
    assert.ok(changes.every(({ from }) => from > 0));
    assert.deepEqual(
      changes.flatMap(({ added }) => added.map(({ name }) => name)),
      ['c.txt'],
    );
    assert.equal(changes.flatMap(({ removed }) => removed).length, 1);
    const [one, two] = fleet.registrations;
    // It says the first time which id it would have.
    assert.equal(one?.id, fleet.serverId);
    assert.equal(two?.id, fleet.serverId);
    assert.ok((two?.instance ?? 0) > (one?.instance ?? 0));
    const metrics = (await second.ask('/metrics')).body.toString();
    assert.equal(/hashed_bytes_total (\d+)/.exec(metrics)?.[1], '1');
  });

  test('while it was hashing goes on with the files that are left', async () => {
    await using fleet = await StandInFleet.start();
    await using files = await Files.of({});
    for (let index = 0; index < 40; index++) await files.write(`f${index}`, randomBytes(4 * MIB));
    await using first = await FileServerProgram.start([fleet.url], files.folder);
    await until(() => fleet.names.length > 3);
    await first.kill();
    const known = fleet.names.length;
    await using second = await FileServerProgram.start([fleet.url], files.folder, { data: first.data });
    await until(() => fleet.names.length === 40, 60_000);
    const metrics = (await second.ask('/metrics')).body.toString();
    const hashed = Number(/hashed_bytes_total (\d+)/.exec(metrics)?.[1]) / (4 * MIB);
    assert.ok(hashed <= 40 - known + 1, `${hashed} files were read again, and ${known} were known`);
  });

  test('with a folder that is gone withdraws it, and knows it when it is back', async () => {
    await using fleet = await StandInFleet.start();
    await using files = await Files.of({ 'disk/a.txt': 'a', 'disk/b.txt': 'b' });
    await using server = await FileServerProgram.start([fleet.url], files.path('disk'));
    await server.event('announced', ({ files: count }) => count === 2);
    await server.kill();
    await rename(files.path('disk'), files.path('away'));
    await mkdir(files.path('disk'));
    await using without = await FileServerProgram.start([fleet.url], files.path('disk'), {
      data: server.data,
    });
    await until(() => fleet.names.length === 0);
    await without.kill();
    await rm(files.path('disk'), { recursive: true });
    await rename(files.path('away'), files.path('disk'));
    await using back = await FileServerProgram.start([fleet.url], files.path('disk'), { data: server.data });
    await until(() => fleet.names.length === 2);
    const metrics = (await back.ask('/metrics')).body.toString();
    assert.equal(/hashed_bytes_total (\d+)/.exec(metrics)?.[1], '0');
  });
});

describe('several file servers on one machine', () => {
  test('with the same folder hash each large file once between them, also when one of them dies over it', async () => {
    await using files = await Files.of({});
    await using cache = await Files.of({});
    for (let index = 0; index < 6; index++) await files.write(`f${index}`, randomBytes(24 * MIB));
    const env = { XDG_CACHE_HOME: cache.folder };
    await using fleets = new AsyncDisposableStack();
    const servers: FileServerProgram[] = [];
    for (let index = 0; index < 4; index++) {
      const fleet = fleets.use(await StandInFleet.start());
      servers.push(fleets.use(await FileServerProgram.start([fleet.url], files.folder, { env })));
    }
    const [first, ...others] = servers;
    await first?.kill();
    await Promise.all(others.map((each) => each.event('announced', ({ files: count }) => count === 6)));
    let hashed = 0;
    for (const each of others) {
      const metrics = (await each.ask('/metrics')).body.toString();
      hashed += Number(/hashed_bytes_total (\d+)/.exec(metrics)?.[1]);
    }
    assert.ok(hashed <= 6 * 24 * MIB, `${hashed / 24 / MIB} files were hashed`);
  });
});

describe('a file that changes while it is sent', () => {
  test('is cut off, and its old content is never announced again', async () => {
    await using fleet = await StandInFleet.start();
    await using files = await Files.of({ 'big.bin': randomBytes(32 * MIB) });
    await using server = await FileServerProgram.start([fleet.url], files.folder, {
      args: ['--limit', '4M'],
    });
    await until(() => fleet.names.length === 1);
    const old = fleet.holding('big.bin').manifestSha256;
    const { path, token } = fleet.grant('big.bin');
    const asked = server.ask(path, token).then(
      ({ body }) => body.length,
      () => 'cut',
    );
    await until(() => Number(server.status['bytesSent']) > 0);
    const handle = await open(files.path('big.bin'), 'r+');
    await handle.write('changed', 30 * MIB);
    await handle.close();
    assert.equal(await asked, 'cut');
    await until(() => fleet.names.length === 1 && !fleet.holdings.has(old));
  });
});
