import assert from 'node:assert/strict';
import { chmod, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import type { ApiKey, NewApiKey, User } from '../../../src/core/api/accounts.ts';
import type { FleetEvent } from '../../../src/core/api/events.ts';
import type { FileDetails, FileEntry } from '../../../src/core/api/files.ts';
import type { ServerEntry } from '../../../src/core/api/servers.ts';
import { connect } from '../../../src/index.ts';
import { headwater } from '../program.ts';
import { EMAIL, PASSWORD, Place, until } from './up-process.ts';

const MIB = 1024 * 1024;

describe('commands that call a fleet', { concurrency: 1, timeout: 180_000 }, () => {
  let place: Place;
  let url: string;
  const atEnd: (() => Promise<void>)[] = [];

  before(async () => {
    // What a test would do at its end is done when all are over.
    place = await Place.make({
      after: (work: () => Promise<void>) => atEnd.push(work),
    } as unknown as TestContext);
    await place.file('b big.bin', 1, 3 * MIB);
    await place.file('a.bin', 2, MIB);
    await place.file('photos.tar', 3, 2 * MIB);
    const up = place.up(['--servers', '2', '--folder', place.files]);
    ({ url } = await up.ready());
    await place.login(url);
    await place.lists(3, 2);
  });
  after(async () => {
    for (const work of atEnd) await work();
  });

  test('credentials are for their owner alone; where they were not, that is put right and said', async () => {
    const path = join(place.folder, 'config', 'credentials.json');
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    assert.equal((await stat(join(place.folder, 'config'))).mode & 0o777, 0o700);
    assert.ok(!(await readFile(path, 'utf8')).includes('correct horse'));
    await chmod(path, 0o644);
    const { status, stderr } = await place.run('whoami');
    assert.equal(status, 0);
    assert.match(stderr, /could be read by others; now it cannot/);
    assert.equal((await stat(path)).mode & 0o777, 0o600);
  });

  test('ls searches, sorts and limits, and prints one object a line', async () => {
    const names = async (...args: string[]): Promise<string[]> =>
      (await place.objects<FileEntry>('ls', ...args)).map(({ name }) => name);
    assert.deepEqual(await names('.bin'), ['a.bin', 'b big.bin']);
    assert.deepEqual(await names('--sort', '-size', '--limit', '2'), ['b big.bin', 'photos.tar']);
    assert.match(
      await place.ok('ls', 'PHOTOS'),
      /^ +size +since +servers +name\n *2 MiB .* 2 +photos\.tar\n$/,
    );
    assert.equal((await place.run('ls', '--sort', 'colour')).status, 2);
  });

  test('info tells of one file, by name and by id', async () => {
    const [file] = await place.objects<FileDetails>('info', 'b big.bin');
    assert.equal(file?.size, 3 * MIB);
    assert.equal(file.servers.length, 2);
    const text = await place.ok('info', file.id);
    assert.match(text, /^name +b big\.bin$/m);
    assert.match(text, /^server-2 +b +running +all of it$/m);
    const missing = await place.run('info', 'nothing');
    assert.equal(missing.status, 3);
    assert.match(missing.stderr, /HW_NOT_FOUND/);
  });

  test('get takes a name with spaces, to standard output too', async () => {
    const { status, stdout } = await place.run('get', 'a.bin', '-o', '-', '-q');
    assert.equal(status, 0);
    assert.equal(Buffer.byteLength(stdout, 'utf8') > 0, true);
    await place.ok('get', 'b big.bin', '-q', '-o', 'copy.bin');
    assert.deepEqual(
      await readFile(join(place.folder, 'copy.bin')),
      await readFile(join(place.files, 'b big.bin')),
    );
    const two = await place.run('get', 'a.bin', 'photos.tar');
    assert.equal(two.status, 2);
    assert.match(two.stderr, /NAME takes one file of the fleet/);
  });

  test('mv renames, and rm deletes only who is asked or says --yes', async () => {
    assert.equal(
      await place.ok('mv', 'photos.tar', 'pictures/summer.tar'),
      'photos.tar is pictures/summer.tar now.\n',
    );
    const taken = await place.run('mv', 'pictures/summer.tar', 'a.bin');
    assert.equal(taken.status, 2);
    assert.match(taken.stderr, /HW_CONFLICT/);
    const unasked = await place.run('rm', 'pictures/summer.tar');
    assert.equal(unasked.status, 2);
    assert.match(unasked.stderr, /--yes deletes without asking/);
    assert.equal((await place.run('rm', 'pictures/summer.tar', 'nothing', '--yes')).status, 3);
    assert.equal((await place.objects('ls', 'summer')).length, 1, 'a slip in one name deletes nothing');
    await place.ok('rm', 'pictures/summer.tar', '--yes');
    assert.deepEqual(await place.objects('ls', 'summer'), []);
  });

  test('servers are paused, resumed and drained by name', async () => {
    const state = async (name: string, wanted: string): Promise<void> =>
      until(
        async () =>
          (await place.objects<ServerEntry>('servers')).find((each) => each.name === name)?.state === wanted,
      );
    await place.ok('pause', 'server-1', 'server-2');
    await state('server-1', 'paused');
    await state('server-2', 'paused');
    await place.ok('resume', 'server-1');
    await place.ok('drain', 'server-2');
    await state('server-1', 'running');
    await state('server-2', 'draining');
    await place.ok('resume', 'server-2');
    await state('server-2', 'running');
    assert.equal((await place.run('pause', 'server-9')).status, 3);
    assert.equal((await place.run('servers', 'forget', 'server-9')).status, 3);
    const running = await place.run('servers', 'forget', 'server-2');
    assert.notEqual(running.status, 0, 'only what is gone is forgotten');
    assert.match(running.stderr, /HW_CONFLICT/);
  });

  test('accounts are made, given roles, disabled and given passwords', async () => {
    const secret = join(place.folder, '.secret');
    await writeFile(secret, 'a long enough one\n');
    await place.ok('users', 'add', 'bob@example.org', '--role', 'publisher', '--password-file', secret);
    assert.equal((await place.run('users', 'add', 'bob@example.org', '--password-file', secret)).status, 2);
    await place.ok('users', 'role', 'bob@example.org', 'reader');
    await place.ok('users', 'disable', 'bob@example.org');
    const bob = (await place.objects<User>('users', 'list')).find(({ email }) => email === 'bob@example.org');
    assert.equal(bob?.role, 'reader');
    assert.equal(bob.disabled, true);
    const login = ['login', url, '--email', 'bob@example.org', '--password-file', secret];
    const env = { ...place.env, HEADWATER_CONFIG: join(place.folder, 'bob') };
    assert.equal((await headwater(login, { env })).status, 7);
    await place.ok('users', 'enable', 'bob@example.org');
    assert.equal((await headwater(login, { env })).status, 0);
    const forbidden = await headwater(['users', 'list'], { env });
    assert.equal(forbidden.status, 7);
    assert.match(forbidden.stderr, /HW_FORBIDDEN/);
    await place.ok('users', 'password', 'bob@example.org', '--password-file', secret);
    assert.equal((await headwater(['whoami'], { env })).status, 7, 'a new password ends the sessions');
  });

  test('the first admin is made in the data folder, without a login', async () => {
    const secret = join(place.folder, '.secret');
    await writeFile(secret, 'a long enough one\n');
    const data = ['--data', place.data, '--password-file', secret];
    const made = await headwater(['users', 'add', 'eve@example.org', '--role', 'admin', ...data], {
      env: {},
    });
    assert.equal(made.status, 0, made.stderr);
    const shared = { HEADWATER_DATABASE_URL: join(place.data, 'fleet.sqlite') };
    const eva = ['users', 'add', 'eva@example.org', '--role', 'admin', '--password-file', secret];
    const there = await headwater(eva, { env: shared });
    assert.equal(there.status, 0, there.stderr);
    const wrong = [
      'users',
      'add',
      'x@example.org',
      '--data',
      join(place.folder, 'nowhere'),
      '--password-file',
      secret,
    ];
    assert.equal((await headwater(wrong)).status, 2);
    assert.ok((await place.objects<User>('users', 'list')).some(({ email }) => email === 'eve@example.org'));
  });

  test('an API key takes the place of a login, and is revoked', async () => {
    const [made] = await place.objects<NewApiKey>('keys', 'create', 'backup', '--expires', '1d');
    assert.ok(made !== undefined);
    const env = {
      HEADWATER_URL: url,
      HEADWATER_TOKEN: made.key,
      HEADWATER_CONFIG: join(place.folder, 'none'),
    };
    assert.match((await headwater(['whoami'], { env })).stdout, /^ada@example\.org/);
    assert.match(await place.ok('keys', 'list'), /^backup +hwk_/m);
    assert.deepEqual(await place.objects<ApiKey>('keys'), await place.objects<ApiKey>('keys', 'list'));
    await place.ok('keys', 'create', 'twin');
    await place.ok('keys', 'create', 'twin');
    const twins = await place.run('keys', 'revoke', 'twin');
    assert.equal(twins.status, 2);
    assert.match(twins.stderr, /2 of your API keys are called twin: name one by its id/);
    const none = await place.run('keys', 'revoke', 'nobodys');
    assert.equal(none.status, 3);
    assert.match(none.stderr, /you have no API key nobodys \(HW_NOT_FOUND\)/);
    await place.ok('keys', 'revoke', 'backup');
    const { status, stderr } = await headwater(['whoami'], { env });
    assert.equal(status, 7);
    assert.match(stderr, /HW_TOKEN_INVALID/);
    await place.ok('keys', 'rotate');
  });

  test('a token is not sent to another fleet than its own', async () => {
    const env = { ...place.env, HEADWATER_URL: 'http://127.0.0.1:9' };
    const { status, stderr } = await headwater(['whoami'], { env });
    assert.equal(status, 7);
    assert.match(stderr, /HEADWATER_URL is http:\/\/127\.0\.0\.1:9, and who is logged in/);
  });

  test('events are told, and told on as they happen', async () => {
    const events = await place.objects<FleetEvent>('events');
    assert.ok(events.some(({ kind }) => kind === 'server.joined'));
    const last = events.at(-1)?.position ?? 0;
    await place.ok('pause', 'server-1');
    await place.ok('resume', 'server-1');
    const later = await place.objects<FleetEvent>('events', '--after', String(last));
    assert.ok(later.every(({ position }) => position > last));
    assert.match(await place.ok('events'), /server\.command +server-1 is told to resume/);
  });

  test('the shell is told what can come next', async () => {
    const next = async (...words: string[]): Promise<string[]> =>
      (await place.ok('__complete', ...words)).split('\n').filter((each) => each !== '');
    assert.deepEqual(await next('pa'), ['pause']);
    assert.deepEqual(await next('get', 'b'), ['b big.bin']);
    assert.deepEqual(await next('get', '-o', 'out', 'a'), ['a.bin']);
    assert.deepEqual(await next('get', 'a.bin', ''), []);
    assert.deepEqual(await next('stop', 'server-1', 'server-'), ['server-1', 'server-2']);
    assert.deepEqual(await next('users', 'r'), ['role']);
    assert.deepEqual(await next('users', 'role', 'bob@example.org', 'p'), ['publisher']);
    assert.deepEqual(await next('ls', '--sort', '-s'), ['-size']);
    assert.deepEqual(await next('rm', '--y'), ['--yes']);
    const away = { ...place.env, HEADWATER_URL: 'http://127.0.0.1:9', HEADWATER_TOKEN: 'x' };
    assert.deepEqual(await headwater(['__complete', 'get', ''], { env: away }), {
      status: 0,
      signal: undefined,
      stdout: '',
      stderr: '',
    });
  });

  test('the library does the same', async () => {
    await assert.rejects(connect(url, { email: EMAIL, password: 'wrong password' }), { code: 'HW_LOGIN' });
    await using fleet = await connect(url, { email: EMAIL, password: PASSWORD });
    assert.equal(fleet.user.role, 'admin');
    const names: string[] = [];
    for await (const { name } of fleet.list({ search: 'bin', sort: '-name' })) names.push(name);
    assert.deepEqual(names, ['b big.bin', 'a.bin']);
    const known = await fleet.info('a.bin');
    const report = await fleet.download(known.id, { output: place.folder, zone: 'b' });
    assert.equal(report.output, join(place.folder, 'a.bin'));
    assert.equal(report.verified, 'chunks');
    const stop = new AbortController();
    const heard = (async () => {
      const kinds: string[] = [];
      for await (const event of fleet.events({ signal: stop.signal })) {
        kinds.push(`${event.kind} ${String(event.data['name'])}`);
        if (event.kind === 'file.renamed') break;
      }
      return kinds;
    })();
    // Events are told from when the stream begins: it has begun once it tells of something.
    const told = heard.then(() => true);
    for (let times = 1; !(await Promise.race([told, sleep(50, false)])); times++) {
      await fleet.rename(known.id, times % 2 === 0 ? 'a.bin' : 'z.bin');
    }
    await fleet.rename(known.id, 'a.bin');
    assert.match((await heard).join(), /file\.renamed [az]\.bin$/);
    assert.equal((await fleet.servers()).length, 2);
    await fleet.remove(known.id);
    await assert.rejects(fleet.info('a.bin'), { code: 'HW_NOT_FOUND' });
  });

  test('what cannot be asked for is said: no terminal, no login', async () => {
    const login = await place.run('login', url, '--email', EMAIL);
    assert.equal(login.status, 2);
    assert.match(login.stderr, /no terminal to ask for the password at: --password-file/);
    const env = { ...place.env, HEADWATER_CONFIG: join(place.folder, 'nobody') };
    for (const command of [['ls'], ['whoami'], ['info', 'a.bin'], ['events']]) {
      const { status, stderr } = await headwater(command, { env });
      assert.equal(status, 7, command.join(' '));
      assert.match(stderr, /not logged in to a fleet: headwater login URL does that \(HW_TOKEN_MISSING\)/);
    }
    const get = await headwater(['get', 'a.bin'], { env });
    assert.equal(get.status, 2);
    assert.match(get.stderr, /or when logged in to a fleet/);
  });

  test('logout ends the session, at the fleet too', async () => {
    const path = join(place.folder, 'config', 'credentials.json');
    const { token } = JSON.parse(await readFile(path, 'utf8')) as { token: string };
    assert.equal(await place.ok('logout'), 'ada@example.org is logged out.\n');
    const env = { HEADWATER_URL: url, HEADWATER_TOKEN: token, HEADWATER_CONFIG: join(place.folder, 'none') };
    assert.equal((await headwater(['whoami'], { env })).status, 7);
    assert.equal(await place.ok('logout'), 'Nobody is logged in.\n');
  });
});
