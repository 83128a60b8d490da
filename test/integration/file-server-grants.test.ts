import assert from 'node:assert/strict';
import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';

import { MIB } from '../../src/core/chunks.ts';
import { codeOf, FileServerProgram, part, SigningKey, StandInFleet } from './file-server-lab.ts';
import { Files, rawConnection, readToEnd, until } from './serve-lab.ts';

const content = randomBytes(3 * MIB + 77);

let fleet: StandInFleet;
let files: Files;
let server: FileServerProgram;

before(async () => {
  fleet = await StandInFleet.start();
  files = await Files.of({ 'big.bin': content, 'dir/other.txt': 'other' });
  server = await FileServerProgram.start([fleet.url], files.folder, { args: ['--log', 'info'] });
  await until(() => fleet.names.length === 2);
});

after(async () => {
  await server[Symbol.asyncDispose]();
  await files[Symbol.asyncDispose]();
  await fleet[Symbol.asyncDispose]();
});

describe('a file server of a fleet gives bytes to who has a grant', () => {
  test('in a field or in the query, whole, in ranges and conditionally', async () => {
    const { path, token } = fleet.grant('big.bin');
    const whole = await server.ask(path, token);
    assert.equal(whole.status, 200);
    assert.ok(whole.body.equals(content));
    assert.match(String(whole.headers['content-disposition']), /filename="big.bin"/);
    assert.equal(whole.headers['link'], undefined);
    assert.match(String(whole.headers['cache-control']), /private/);
    const range = await server.ask(`${path}?token=${token}`, undefined, { range: 'bytes=1000-2000999' });
    assert.equal(range.status, 206);
    assert.ok(range.body.equals(content.subarray(1000, 2_001_000)));
    const again = await server.ask(path, token, { 'if-none-match': String(whole.headers['etag']) });
    assert.equal(again.status, 304);
    const outside = await server.ask(path, token, { range: 'bytes=99999999-' });
    assert.equal(outside.status, 416);
  });

  test('and HEAD says the same without the bytes', async () => {
    const { path, token } = fleet.grant('dir/other.txt');
    const response = await fetch(`${server.url}${path}`, {
      method: 'HEAD',
      headers: { authorization: `Bearer ${token}` },
    });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('content-length'), '5');
  });

  test('again and again with the same token, and with many tokens for one file', async () => {
    const file = randomUUID();
    const grants = Array.from({ length: 20 }, () => fleet.grant('dir/other.txt', {}, file));
    for (const { path, token } of [...grants, ...grants]) {
      assert.equal((await server.ask(path, token)).body.toString(), 'other');
    }
  });
});

describe('a file server of a fleet refuses', () => {
  const cases: Record<string, [number, string, () => { path: string; token: string | undefined }]> = {
    'no token': [401, 'HW_TOKEN_MISSING', () => ({ ...fleet.grant('big.bin'), token: undefined })],
    garbage: [401, 'HW_TOKEN_INVALID', () => ({ ...fleet.grant('big.bin'), token: 'no-token-at-all' })],
    'three empty parts': [401, 'HW_TOKEN_INVALID', () => ({ ...fleet.grant('big.bin'), token: '..' })],
    "another fleet's key under a key id of this one": [
      401,
      'HW_TOKEN_INVALID',
      () => fleet.grant('big.bin', {}, randomUUID(), new SigningKey(fleet.key.kid)),
    ],
    'a key that nobody knows': [
      401,
      'HW_TOKEN_INVALID',
      () => fleet.grant('big.bin', {}, randomUUID(), new SigningKey()),
    ],
    "another fleet's grant, signed by that fleet": [
      403,
      'HW_GRANT_OTHER_FLEET',
      () => fleet.grant('big.bin', { iss: randomUUID() }, randomUUID(), new SigningKey()),
    ],
    "a grant that this fleet's key signed for another": [
      403,
      'HW_GRANT_OTHER_FLEET',
      () => fleet.grant('big.bin', { iss: randomUUID() }),
    ],
    'no algorithm': [
      401,
      'HW_TOKEN_INVALID',
      () => {
        const { path, token } = fleet.grant('big.bin');
        const [, payload] = token.split('.');
        return { path, token: `${part({ alg: 'none', kid: fleet.key.kid })}.${payload}.` };
      },
    ],
    'no algorithm, with a signature all the same': [
      401,
      'HW_TOKEN_INVALID',
      () => {
        const { path, token } = fleet.grant('big.bin');
        const [, payload, signature] = token.split('.');
        return { path, token: `${part({ alg: 'none', kid: fleet.key.kid })}.${payload}.${signature}` };
      },
    ],
    'a public key used as a shared secret': [
      401,
      'HW_TOKEN_INVALID',
      () => {
        const { path, token } = fleet.grant('big.bin');
        const signed = `${part({ alg: 'HS256', kid: fleet.key.kid })}.${token.split('.')[1]}`;
        const secret = fleet.key.publicKey.export({ format: 'der', type: 'spki' });
        return {
          path,
          token: `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`,
        };
      },
    ],
    'a payload that was changed': [
      401,
      'HW_TOKEN_INVALID',
      () => {
        const { path, token } = fleet.grant('big.bin');
        const [head, payload = '', signature] = token.split('.');
        const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object;
        return { path, token: `${head}.${part({ ...claims, exp: 9_999_999_999 })}.${signature}` };
      },
    ],
    'a critical extension': [
      401,
      'HW_TOKEN_INVALID',
      () => {
        const grant = fleet.grant('big.bin');
        const claims = JSON.parse(
          Buffer.from(grant.token.split('.')[1] ?? '', 'base64url').toString(),
        ) as object;
        return { path: grant.path, token: fleet.key.token(claims, { crit: ['exp'] }) };
      },
    ],
    'a token for something else': [
      401,
      'HW_TOKEN_INVALID',
      () => fleet.grant('big.bin', { aud: 'headwater:other' }),
    ],
    'one whose time is over': [
      401,
      'HW_TOKEN_EXPIRED',
      () => fleet.grant('big.bin', { exp: Math.floor(Date.now() / 1000) - 60 }),
    ],
    'one that is replayed for another file': [
      403,
      'HW_GRANT_OTHER_FILE',
      () => ({ token: fleet.grant('big.bin').token, path: `/v1/files/${randomUUID()}` }),
    ],
    'a file that it does not hold': [
      404,
      'HW_NOT_FOUND',
      () => fleet.grant('big.bin', { manifest: '0'.repeat(64) }),
    ],
    'a token of 8 KiB': [
      401,
      'HW_TOKEN_INVALID',
      () => ({
        ...fleet.grant('big.bin'),
        token: `${'a'.repeat(4_000)}.${'b'.repeat(4_000)}.${'c'.repeat(86)}`,
      }),
    ],
  };
  for (const [what, [status, code, make]] of Object.entries(cases)) {
    test(what, async () => {
      const { path, token } = make();
      for (const how of ['field', 'query']) {
        if (how === 'query' && token === undefined) continue;
        const answer =
          how === 'field'
            ? await server.ask(path, token)
            : await server.ask(`${path}?token=${encodeURIComponent(token ?? '')}`);
        assert.equal(answer.status, status, how);
        assert.equal(codeOf(answer), code, how);
        if (status === 401) assert.match(String(answer.headers['www-authenticate']), /^Bearer/);
      }
    });
  }

  test('a token of 1 MB, without reading it', async () => {
    const socket = await rawConnection(server.url);
    socket.on('error', () => undefined);
    const said = readToEnd(socket);
    socket.write(`GET /v1/files/x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${'a'.repeat(MIB)}`);
    assert.match(await said, /^HTTP\/1.1 431 /);
  });

  test('to list files, and other paths and methods', async () => {
    for (const path of ['/', '/v1/files', '/v1/files/', '/big.bin', '/v1/files/../big.bin', '/v1']) {
      const answer = await server.ask(path, fleet.grant('big.bin').token);
      assert.equal(answer.status, 404, path);
      assert.equal(codeOf(answer), 'HW_NOT_FOUND');
    }
    const { path, token } = fleet.grant('big.bin');
    const response = await fetch(server.url + path, {
      method: 'PUT',
      headers: { authorization: `Bearer ${token}` },
      body: 'x',
    });
    assert.equal(response.status, 405);
  });

  test('a flood of made-up key ids, and asks for the keys once', async () => {
    const asked = () => fleet.told.filter(({ path }) => path === '/.well-known/jwks.json').length;
    const before = asked();
    for (let index = 0; index < 50; index++) {
      const { path, token } = fleet.grant('big.bin', {}, randomUUID(), new SigningKey());
      assert.equal((await server.ask(path, token)).status, 401);
    }
    assert.ok(asked() - before <= 2, `${asked() - before} times`);
  });

  test('and writes no token into its log, nor a name into its numbers', async () => {
    const { path, token } = fleet.grant('big.bin');
    await server.ask(`${path}?token=${token}`);
    await server.ask(path, token);
    await until(() => server.program.complaints.some((line) => line.includes(path)));
    const log = server.program.complaints.join('\n') + server.program.lines.join('\n');
    assert.ok(!log.includes(token));
    assert.ok(!log.includes('token='));
    const metrics = (await server.ask('/metrics')).body.toString();
    assert.match(metrics, /^headwater_file_server_refusals_total\{code="HW_TOKEN_INVALID"\} \d+$/m);
    assert.ok(!metrics.includes('big.bin'));
  });
});

describe('keys', () => {
  test('that are new are learnt from an event or from the first grant, and those withdrawn count no more', async () => {
    const next = new SigningKey();
    fleet.keys = [fleet.key, next];
    fleet.event('keys.rotated', { kid: next.kid });
    await until(async () => (await server.ask('/metrics')).body.toString().includes('_keys 2'));
    const { path, token } = fleet.grant('dir/other.txt', {}, randomUUID(), next);
    assert.equal((await server.ask(path, token)).status, 200);
    const old = fleet.grant('dir/other.txt');
    assert.equal((await server.ask(old.path, old.token)).status, 200);
    fleet.keys = [next];
    const last = new SigningKey();
    fleet.event('keys.rotated', { kid: last.kid });
    await until(async () => (await server.ask('/metrics')).body.toString().includes('_keys 1'));
    assert.equal((await server.ask(path, token)).status, 200);
    assert.equal(codeOf(await server.ask(old.path, old.token)), 'HW_TOKEN_INVALID');
  });
});
