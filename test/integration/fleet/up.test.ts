import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import { makeDatabase, withoutPostgres } from '../../unit/database/each-database.ts';
import type { UpEvent } from '../../../src/cli/up/up-types.ts';
import { Running } from '../program.ts';
import { EMAIL, isRunning, Place, until } from './up-process.ts';

const MIB = 1024 * 1024;

describe('headwater up', { concurrency: 1, timeout: 180_000 }, () => {
  test('a new fleet: log in, list, and get a file though a server is killed on the way', async (t) => {
    const place = await Place.make(t);
    const bytes = await place.file('big.bin', 5, 24 * MIB);
    const up = place.up(['--servers', '3', '--zones', 'a,b', '--folder', place.files, '--limit', '3M']);
    const { url, servers, informationServers } = await up.ready();
    assert.deepEqual(
      servers.map(({ name, zone }) => [name, zone]),
      [
        ['server-1', 'a'],
        ['server-2', 'b'],
        ['server-3', 'a'],
      ],
    );
    assert.deepEqual(
      informationServers.map(({ leader }) => leader),
      [true],
    );
    assert.ok(
      up.events.some((event) => event.event === 'admin' && event.email === EMAIL && !('password' in event)),
    );
    await place.login(url);
    assert.match(await place.ok('whoami'), /^ada@example\.org \(admin\) at /);
    await place.lists(1, 3);
    const get = new Running(['get', 'big.bin', '-o', 'out.bin', '--zone', 'b', '--json'], {
      cwd: place.folder,
      env: place.env,
    });
    let killed = false;
    get.process.stdout.on('data', (text) => {
      const victim = servers[1]?.pid;
      if (killed || victim === undefined || !String(text).includes('"progress"')) return;
      killed = true;
      process.kill(victim, 'SIGKILL');
    });
    const { status, stderr } = await get.ended;
    assert.equal(status, 0, stderr);
    assert.ok(killed);
    assert.deepEqual(new Uint8Array(await readFile(join(place.folder, 'out.bin'))), bytes);
    // It is back by itself.
    await up.state(2, 'running');
    assert.ok(
      up.events.some(
        (event) => event.event === 'process' && event.state === 'died' && event.name === 'server-2',
      ),
    );
    assert.match(await place.ok('servers'), /server-2 +b +running/);
    assert.match(await place.ok('events'), /ada@example\.org downloads big\.bin from 3 servers/);
  });

  test('Ctrl-C stops everything, and started again it is as it was', async (t) => {
    const place = await Place.make(t);
    const up = place.up(['--servers', '2', '--information-servers', '2']);
    const first = await up.ready();
    assert.equal((await stat(place.data)).mode & 0o077, 0, 'nobody else looks in');
    up.process.kill('SIGINT');
    assert.deepEqual(await up.ended, { code: 0, signal: null });
    assert.equal(up.pids.length, 4);
    assert.deepEqual(up.pids.filter(isRunning), []);
    assert.equal(up.events.at(-1)?.event, 'end');

    const again = place.up();
    const second = await again.ready();
    const same = ({ id, name, zone, url }: (typeof first.servers)[number]): unknown => ({
      id,
      name,
      zone,
      url,
    });
    assert.deepEqual(second.servers.map(same), first.servers.map(same));
    assert.deepEqual(
      second.informationServers.map(({ url }) => url),
      first.informationServers.map(({ url }) => url),
    );
    assert.ok(!again.events.some(({ event }) => event === 'admin'), 'the admin is there already');
  });

  test('killed, it leaves nothing running for long, and another one goes on', async (t) => {
    const place = await Place.make(t);
    const up = place.up(['--servers', '2']);
    const first = await up.ready();
    const second = place.up();
    await second.ended;
    assert.match(second.stderr, /runs on .* already \(process \d+.*HW_CONFLICT/);
    assert.equal(second.process.exitCode, 2);

    up.process.kill('SIGKILL');
    const third = place.up();
    const { servers } = await third.ready();
    assert.deepEqual(
      servers.map(({ id, url }) => [id, url]),
      first.servers.map(({ id, url }) => [id, url]),
    );
    await until(() => !up.pids.some(isRunning));
  });

  test('the console pauses, resumes and ends servers; one that died comes back, one that was ended does not', async (t) => {
    const place = await Place.make(t);
    const up = place.up(['--servers', '2']);
    const { servers } = await up.ready();
    up.type('2');
    await up.state(2, 'paused');
    up.type('r2');
    await up.state(2, 'running');
    up.type('e1');
    await up.state(1, 'ended');
    const [one] = servers;
    assert.ok(one?.pid !== undefined && !isRunning(one.pid));
    const [, two] = servers;
    assert.ok(two?.pid !== undefined);
    process.kill(two.pid, 'SIGKILL');
    await up.state(2, 'running');
    await up.state(1, 'ended');
    up.type('r1');
    await up.state(1, 'running');
    up.type('9');
    up.type('q');
    assert.deepEqual(await up.ended, { code: 0, signal: null });
    assert.deepEqual(up.pids.filter(isRunning), []);
  });

  for (const kind of ['sqlite', 'postgresql'] as const) {
    const skip = kind === 'postgresql' ? withoutPostgres : false;
    test(`the leader of three is killed in the middle of a download, on ${kind}`, { skip }, async (t) => {
      await using database = kind === 'sqlite' ? undefined : await makeDatabase(kind);
      const place = await Place.make(t, database?.where);
      const bytes = await place.file('big.bin', 6, 16 * MIB);
      const up = place.up([
        '--servers',
        '2',
        '--information-servers',
        '3',
        '--folder',
        place.files,
        '--limit',
        '2M',
      ]);
      const { informationServers, url } = await up.ready();
      await place.login(url);
      await until(async () => (await place.objects<{ holders: number }>('ls', 'big.bin'))[0]?.holders === 2);
      const leader = informationServers.find((each) => each.leader);
      assert.ok(leader?.pid !== undefined);
      const { pid } = leader;
      const get = new Running(['get', 'big.bin', '-o', 'out.bin', '--json'], {
        cwd: place.folder,
        env: place.env,
      });
      let killed = false;
      get.process.stdout.on('data', (text) => {
        if (killed || !String(text).includes('"progress"')) return;
        killed = true;
        process.kill(pid, 'SIGKILL');
      });
      const { status, stderr } = await get.ended;
      assert.equal(status, 0, stderr);
      assert.ok(killed);
      assert.deepEqual(new Uint8Array(await readFile(join(place.folder, 'out.bin'))), bytes);
      await until(() => {
        const last = up.events.findLast((event) => event.event === 'status');
        return last?.informationServers.filter((each) => each.leader && each.ready).length === 1;
      });
      assert.match(await place.ok('ls'), /big\.bin/);
      await up.end();
    });
  }

  test('what is wrong with a file is said once, though every server finds it', async (t) => {
    const place = await Place.make(t);
    await place.file('two\nlines.bin', 1, 10);
    const up = place.up(['--servers', '2', '--folder', place.files]);
    await up.ready();
    for (const name of ['server-1', 'server-2'])
      await until(async () =>
        /"fault"/.test(await readFile(join(place.data, 'logs', `${name}.log`), 'utf8')),
      );
    // Everything that was told has come when the processes have ended.
    await up.end();
    const faults = up.events.flatMap((event) => (event.event === 'fault' ? [event] : []));
    assert.deepEqual(
      faults.map(({ code }) => code),
      ['HW_PATH'],
    );
    assert.match(faults[0]?.message ?? '', /two\\nlines\.bin" cannot be the name of a file in a fleet/);
  });

  test('with no information server there, servers are told directly', async (t) => {
    const place = await Place.make(t);
    const up = place.up(['--servers', '1']);
    const { informationServers, servers } = await up.ready();
    const [information] = informationServers;
    const [server] = servers;
    assert.ok(information?.pid !== undefined && server?.pid !== undefined);
    // Stopped, not killed: it would be started again.
    process.kill(information.pid, 'SIGSTOP');
    up.type('e1');
    await up.event(
      (event): event is Extract<UpEvent, { event: 'process' }> =>
        event.event === 'process' && event.state === 'ended',
    );
    assert.ok(!isRunning(server.pid));
    process.kill(information.pid, 'SIGCONT');
    await up.state(1, 'ended');
  });

  test('npm start runs it; npm killed, all of it stops', async (t) => {
    const place = await Place.make(t);
    const up = place.up(['--servers', '1'], ['npm', 'start', '--silent', '--']);
    await up.ready();
    up.process.kill('SIGTERM');
    await until(() => !up.pids.some(isRunning));
    await until(() => !existsSync(join(place.data, 'up.lock')));
  });

  test('what keeps a part from starting is said, and nothing is left', async (t) => {
    const place = await Place.make(t);
    const up = place.up(['--folder', join(place.folder, 'nowhere')]);
    assert.deepEqual(await up.ended, { code: 2, signal: null });
    assert.match(up.stderr, /--folder takes a folder; .*nowhere" is not there/);
    const inside = place.up(['--folder', place.folder]);
    assert.deepEqual(await inside.ended, { code: 2, signal: null });
    assert.match(inside.stderr, /would hand out the fleet's own data/);
  });
});
