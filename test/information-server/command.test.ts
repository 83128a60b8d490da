import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { get } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { IncomingMessage } from 'node:http';
import { it, type TestContext } from 'node:test';

import { openDatabase } from '../../src/database/database.ts';
import { digestOf } from '../../src/information-server/authentication.ts';
import { headwater } from '../integration/program.ts';
import { selfSigned } from '../unit/transport/self-signed.ts';
import { ServerProcess } from './server-process.ts';
import { ask } from './start.ts';

const PASSWORD = 'correct horse battery';
const JOIN_TOKEN = 'abcdefghijklmnopqrstuvwxyz0123456789';

it('takes secrets from files, as containers are handed them', async (t) => {
  const data = await folder(t);
  const file = async (name: string, content: string): Promise<string> => {
    await writeFile(join(data, name), `${content}\n`);
    return join(data, name);
  };
  await using server = await ServerProcess.start(data, {
    env: {
      HEADWATER_ADMIN_EMAIL: 'Admin@Example.org',
      HEADWATER_ADMIN_PASSWORD_FILE: await file('password', PASSWORD),
      HEADWATER_JOIN_TOKEN_FILE: await file('token', JOIN_TOKEN),
      HEADWATER_DATABASE_URL_FILE: await file('database', join(data, 'elsewhere.sqlite')),
    },
  });
  const body = { email: 'admin@example.org', password: PASSWORD };
  assert.equal((await ask(`${server.url}/v1/auth/login`, 'POST', body)).status, 200);
  const database = await openDatabase(join(data, 'elsewhere.sqlite'));
  const rows = await database.queries
    .selectFrom('fleet')
    .selectAll()
    .where('key', '=', 'join-token')
    .execute();
  await database.close();
  assert.equal(rows[0]?.value, digestOf(JOIN_TOKEN));
});

it('keeps its data for its owner alone, and one join token over restarts', async (t) => {
  const data = join(await folder(t), 'new', 'data');
  const tokens = new Set<string>();
  const fleets = new Set<string>();
  for (let round = 0; round < 2; round++) {
    await using server = await ServerProcess.start(data);
    tokens.add(await readFile(join(data, 'join-token'), 'utf8'));
    fleets.add(((await ask(`${server.url}/v1/fleet`, 'GET')).body as { id: string }).id);
    assert.deepEqual(await server.end(), { status: 0 });
  }
  assert.equal(tokens.size, 1);
  assert.equal(fleets.size, 1);
  assert.match([...tokens].join(''), /^[0-9a-f]{64}\n$/);
  for (const name of ['join-token', 'fleet.sqlite']) {
    assert.equal((await stat(join(data, name))).mode & 0o777, 0o600, name);
  }
  assert.equal((await stat(data)).mode & 0o777, 0o700);
});

it('answers https with the certificate it is given', async (t) => {
  const data = await folder(t);
  const { key, cert } = selfSigned('/CN=localhost', 'IP:127.0.0.1');
  await writeFile(join(data, 'key.pem'), key);
  await writeFile(join(data, 'cert.pem'), cert);
  const args = ['--tls-cert', join(data, 'cert.pem'), '--tls-key', join(data, 'key.pem')];
  await using server = await ServerProcess.start(data, { args });
  assert.match(server.url, /^https:/);
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    get(`${server.url}/readyz`, { ca: cert }, resolve).on('error', reject);
  });
  assert.equal((JSON.parse(await text(answer)) as { ready: boolean }).ready, true);
  assert.deepEqual(await server.end(), { status: 0 });
});

it('says what is wrong with its arguments and surroundings, and ends with the status for it', async (t) => {
  const data = await folder(t);
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  t.after(() => taken.close());
  const { port } = taken.address() as AddressInfo;
  await writeFile(join(data, 'empty'), '');
  const cases: readonly (readonly [readonly string[], NodeJS.ProcessEnv, number, RegExp])[] = [
    [['--port', '99999'], {}, 2, /--port takes a port from 0 to 65535/],
    [['--port', String(port)], {}, 2, new RegExp(`port ${port} on 127.0.0.1 is in use \\(HW_LISTEN\\)`)],
    [['--address', '192.0.2.1'], {}, 2, /192\.0\.2\.1 is not an address of this machine/],
    [['--tls-cert', 'x'], {}, 2, /only together/],
    [['--public-url', 'ftp://x'], {}, 2, /publicUrl/],
    [['extra'], {}, 2, /HW_USAGE/],
    [[], { HEADWATER_ADMIN_EMAIL: 'a@example.org' }, 2, /only together/],
    [[], { HEADWATER_ADMIN_EMAIL: 'a@example.org', HEADWATER_ADMIN_PASSWORD: 'short' }, 2, /admin\.password/],
    [[], { HEADWATER_JOIN_TOKEN: 'short' }, 2, /joinToken/],
    [[], { HEADWATER_JOIN_TOKEN: JOIN_TOKEN, HEADWATER_JOIN_TOKEN_FILE: 'x' }, 2, /exclude each other/],
    [[], { HEADWATER_JOIN_TOKEN_FILE: join(data, 'nowhere') }, 2, /cannot be read \(ENOENT\)/],
    [[], { HEADWATER_JOIN_TOKEN_FILE: join(data, 'empty') }, 2, /empty file/],
    [[], { HEADWATER_DATABASE_URL: 'mysql://localhost/x' }, 2, /begins with postgres/],
    [[], { HEADWATER_BROKER_URL: 'http://localhost' }, 2, /broker/],
    [['--data', '/dev/null/x'], {}, 5, /HW_DISK/],
  ];
  for (const [args, env, status, said] of cases) {
    const all = ['information-server', '--data', data, '--address', '127.0.0.1', '--port', '0', ...args];
    const ended = await headwater(all, { env });
    assert.equal(ended.status, status, `${args.join(' ')} ${JSON.stringify(env)}: ${ended.stderr}`);
    assert.match(ended.stderr, said);
    assert.doesNotMatch(ended.stderr, /a defect of this program/);
  }
});

async function folder(t: TestContext): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'headwater-command-'));
  t.after(() => rm(made, { recursive: true, force: true }));
  return made;
}
