import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { describe, test } from 'node:test';

import { MIB } from '../../src/core/chunks.ts';
import { codeOf, FileServerProgram, JOIN_TOKEN, SigningKey, StandInFleet } from './file-server-lab.ts';
import { Files, Program, until } from './serve-lab.ts';

describe('while no information server answers', () => {
  test('a file server goes on, keeps what it has to tell, and tells it when one is back', async () => {
    await using fleet = await StandInFleet.start();
    await using files = await Files.of({ 'a.txt': 'a' });
    await using server = await FileServerProgram.start([fleet.url], files.folder);
    await until(() => fleet.names.length === 1);
    const grants = [fleet.grant('a.txt'), fleet.grant('a.txt')];
    await fleet.away();
    await server.event('connection', ({ connected }) => connected === false);
    for (const { path, token } of grants) {
      assert.equal((await server.ask(path, token)).body.toString(), 'a');
    }
    // A key that nobody can be asked about is refused, and soon.
    const strange = fleet.grant('a.txt', {}, randomUUID(), new SigningKey());
    assert.equal(codeOf(await server.ask(strange.path, strange.token)), 'HW_TOKEN_INVALID');
    await files.write('b.txt', 'b');
    server.program.say('p');
    await server.event('state', ({ state }) => state === 'paused');
    await until(() => Number(server.status['files']) === 2);
    await fleet.open();
    await server.event('connection', ({ connected }) => connected === true);
    await until(() => fleet.names.length === 2 && fleet.beats.at(-1)?.state === 'paused');
    assert.equal(fleet.registrations.length, 1);
  });

  test('one that is started serves by the keys it has kept', async () => {
    await using fleet = await StandInFleet.start();
    await using files = await Files.of({ 'a.txt': 'a' });
    await using first = await FileServerProgram.start([fleet.url], files.folder);
    await until(() => fleet.names.length === 1);
    const { path, token } = fleet.grant('a.txt');
    await first.kill();
    await fleet.away();
    await using second = await FileServerProgram.start([fleet.url], files.folder, { data: first.data });
    assert.equal((await second.ask(path, token)).body.toString(), 'a');
    await fleet.open();
    await second.event('ready');
    assert.equal(fleet.registrations.at(-1)?.id, fleet.serverId);
  });

  test('one that is killed before it could keep what it was answered comes back as the same server', async () => {
    await using fleet = await StandInFleet.start();
    fleet.override = ({ path }) => (path === '/v1/servers' ? 'lost' : undefined);
    await using files = await Files.of({ 'a.txt': 'a' });
    await using first = await FileServerProgram.start([fleet.url], files.folder);
    await until(() => fleet.registrations.length > 0);
    await first.kill();
    fleet.override = undefined;
    await using second = await FileServerProgram.start([fleet.url], files.folder, { data: first.data });
    const { id } = await second.event('ready');
    assert.deepEqual([...new Set(fleet.registrations.map((each) => each.id))], [id]);
    assert.deepEqual(
      (await readdir(first.data)).filter((name) => name.startsWith('joining')),
      [],
    );
  });

  test('one that never joined waits, and joins the next one that answers', async () => {
    await using fleet = await StandInFleet.start();
    await using gone = await StandInFleet.start();
    await gone.away();
    await using files = await Files.of({ 'a.txt': 'a' });
    await using server = await FileServerProgram.start([gone.url, fleet.url], files.folder);
    const ready = await server.event('ready');
    assert.equal(ready['informationServer'], fleet.url);
    assert.equal(ready['id'], fleet.serverId);
  });
});

describe('a file server moves on', () => {
  test('from one that resets, breaks off or answers nonsense', async () => {
    await using fleet = await StandInFleet.start();
    await using broken = await StandInFleet.start();
    let how = 0;
    broken.override = () => {
      how++;
      if (how % 3 === 0) return 'cut';
      return how % 3 === 1 ? { status: 502, body: { no: 'error of ours' } } : { status: 500, body: {} };
    };
    await using files = await Files.of({ 'a.txt': 'a' });
    await using server = await FileServerProgram.start([broken.url, fleet.url], files.folder);
    await until(() => fleet.names.length === 1 && fleet.beats.length > 3);
    assert.equal(server.events('connection').length, 0);
  });

  test('to its next life when its process was stopped for a while', async () => {
    await using fleet = await StandInFleet.start();
    await using files = await Files.of({ 'a.txt': 'a' });
    await using server = await FileServerProgram.start([fleet.url], files.folder);
    await until(() => fleet.names.length === 1);
    const { path, token } = fleet.grant('a.txt');
    server.signal('SIGSTOP');
    const beats = fleet.beats.length;
    // Longer than connections are kept: what it finds when it goes on is closed.
    await new Promise((resolve) => {
      setTimeout(resolve, 8_000);
    });
    assert.ok(fleet.beats.length - beats <= 1);
    server.signal('SIGCONT');
    await until(() => fleet.beats.length > beats + 3);
    assert.equal((await server.ask(path, token)).status, 200);
    assert.equal(fleet.registrations.length, 1);
  });

  test('to joining again when the fleet does not know it any more', async () => {
    await using fleet = await StandInFleet.start();
    await using files = await Files.of({ 'a.txt': 'a' });
    await using server = await FileServerProgram.start([fleet.url], files.folder);
    await until(() => fleet.names.length === 1);
    const { serverId } = fleet;
    const known = fleet.told.at(-1)?.token;
    // The fleet's database was put back to before it joined.
    fleet.version = 0;
    fleet.holdings.clear();
    fleet.override = ({ token }) =>
      token === known
        ? { status: 401, body: { code: 'HW_TOKEN_INVALID', message: 'nobody has it', details: {} } }
        : undefined;
    await until(() => fleet.registrations.length === 2);
    await until(() => fleet.names.length === 1);
    assert.equal(fleet.serverId, serverId);
    assert.equal(server.program.process.exitCode, null);
  });

  test('from a registration whose answer was lost, as the same process', async () => {
    await using fleet = await StandInFleet.start();
    await using files = await Files.of({ 'a.txt': 'a' });
    let lost = 0;
    fleet.override = ({ method, path }) => {
      if (method !== 'POST' || path !== '/v1/servers' || lost === 2) return undefined;
      lost++;
      return 'cut';
    };
    await using server = await FileServerProgram.start([fleet.url], files.folder);
    await server.event('ready');
    await until(() => fleet.names.length === 1);
  });

  test('from announcements whose answers were lost, with every manifest sent', async () => {
    await using fleet = await StandInFleet.start();
    const many = Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`f${index}`, `${index}`]));
    await using files = await Files.of({ ...many, big: randomBytes(3 * MIB) });
    let count = 0;
    fleet.override = ({ path }) => {
      if (!path.endsWith('/holdings') && !path.includes('/manifests/')) return undefined;
      count++;
      if (count % 3 === 0) return 'lost';
      return count % 7 === 0 ? 'cut' : undefined;
    };
    await using server = await FileServerProgram.start([fleet.url], files.folder);
    await until(() => fleet.names.length === 31 && fleet.manifests.size === 31, 60_000);
    void server;
  });
});

describe('a file server that cannot join', () => {
  test('says why and ends: a wrong join token, none at all, a name that another has', async () => {
    await using fleet = await StandInFleet.start();
    await using files = await Files.of({ 'a.txt': 'a' });
    const start = (env: Record<string, string>, data: string) =>
      new Program(
        ['file-server', '--folder', files.folder, '--join', fleet.url, '--data', data].concat([
          '--address',
          '127.0.0.1',
          '--port',
          '0',
          '--name',
          'one',
        ]),
        { HEADWATER_JOIN_TOKEN: '', ...env },
      );
    await using wrong = start({ HEADWATER_JOIN_TOKEN: 'wrong-token' }, files.path('.d1'));
    assert.equal(await wrong.exited, 7);
    assert.match(wrong.complaints.join('\n'), /HW_TOKEN_INVALID/);
    await using none = start({}, files.path('.d2'));
    assert.equal(await none.exited, 2);
    assert.match(none.complaints.join('\n'), /--join-token-file FILE, or HEADWATER_JOIN_TOKEN/);
    fleet.override = () => ({
      status: 409,
      body: { code: 'HW_CONFLICT', message: 'the name one belongs to another server', details: {} },
    });
    await using taken = start({ HEADWATER_JOIN_TOKEN: JOIN_TOKEN }, files.path('.d3'));
    assert.equal(await taken.exited, 2);
    assert.match(taken.complaints.join('\n'), /the name one belongs to another server/);
  });
});
