import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { it } from 'node:test';
import { text } from 'node:stream/consumers';

import { newId } from '../../src/database/ids.ts';
import { onEachKind } from './each-kind.ts';
import { startTestServer, type Answer } from './start.ts';

type Body = Readonly<Record<string, unknown>>;

const LONG = 'x'.repeat(300);
const PASSWORD = 'correct horse battery';
const USER: Body = { email: 'a@example.org', password: PASSWORD, role: 'reader' };

/** Each: method, path, body, and the field that is wrong. */
const WRONG: readonly (readonly [string, string, unknown, string])[] = [
  ...wrongBodies('POST', '/v1/auth/login', { email: 'a@example.org', password: PASSWORD }, [
    ['email', 7],
    ['email', 'nobody'],
    ['email', `${LONG}@example.org`],
    ['email', 'a\u0000b@example.org'],
    ['email', "a' or '1'='1"],
    ['password', null],
    ['password', ''],
    ['password', 'x'.repeat(257)],
  ]),
  ...wrongBodies('POST', '/v1/users', USER, [
    ['email', ['a@example.org']],
    ['email', { $ne: '' }],
    ['password', 'short'],
    ['password', 'x'.repeat(257)],
    ['role', 'owner'],
    ['role', 1],
  ]),
  ...wrongBodies('POST', '/v1/me/password', { current: PASSWORD, password: PASSWORD }, [
    ['current', 1],
    ['password', 'short'],
  ]),
  ...wrongBodies('POST', '/v1/api-keys', { name: 'k' }, [
    ['name', ''],
    ['name', LONG],
    ['name', 'a\nb'],
    ['expiresAt', 'tomorrow'],
    ['expiresAt', 1_800_000_000],
  ]),
  ['PATCH', '/v1/users/admin@example.org', { disabled: 'yes' }, 'disabled'],
  ['PATCH', '/v1/users/admin@example.org', { role: 'root' }, 'role'],
  ['PATCH', '/v1/users/admin@example.org', { email: 'b@example.org' }, 'email'],
  ['PATCH', '/v1/users/admin@example.org', undefined, 'body'],
  ['PATCH', `/v1/users/${'x'.repeat(280)}`, {}, 'id'],
  ['GET', '/v1/me?who=else', undefined, 'who'],
  ['GET', '/v1/users?limit=0', undefined, 'limit'],
  ['GET', '/v1/users?limit=1001', undefined, 'limit'],
  ['GET', '/v1/users?limit=many', undefined, 'limit'],
  ['GET', '/v1/users?page=2', undefined, 'page'],
  ['GET', `/v1/users?search=${LONG}`, undefined, 'search'],
  ['GET', '/v1/users?search=%00', undefined, 'search'],
  ['GET', '/v1/users?cursor=%00', undefined, 'cursor'],
  ['GET', `/v1/users?cursor=${'x'.repeat(2049)}`, undefined, 'cursor'],
  ['GET', '/v1/users?limit=1&limit=2', undefined, 'limit'],
  ['GET', '/v1/audit?since=1', undefined, 'since'],
  ['GET', '/v1/audit?actor=%00', undefined, 'actor'],
  ['GET', '/v1/api-keys?user=%00', undefined, 'user'],
  ['DELETE', '/v1/api-keys/not-an-id', undefined, 'id'],
  ['DELETE', `/v1/api-keys/${newId()}?force=1`, undefined, 'force'],
  ['DELETE', `/v1/api-keys/${newId()}`, { force: true }, 'force'],
  ['POST', '/v1/auth/logout', { all: true }, 'all'],
];

onEachKind('requests for accounts', (kind) => {
  it('are refused with the code and the field that is wrong', async () => {
    await using test = await startTestServer(kind);
    for (const [method, path, body, field] of WRONG) {
      const answer = await test.ask(method, path, body);
      const said = `${method} ${path} ${JSON.stringify(body)}: ${JSON.stringify(answer.body)}`;
      assert.equal(answer.status, 400, said);
      assert.equal(codeOf(answer), 'HW_USAGE', said);
      assert.equal((answer.body as { details: { field: string } }).details.field, field, said);
    }
  });

  it('with texts of a database language or a path are nothing but texts', async () => {
    await using test = await startTestServer(kind);
    const names = [
      "'; drop table users; --",
      '../../etc/passwd',
      '%27%20or%201=1',
      '${jndi:ldap://x}',
      '😀',
      'ﷺ',
    ];
    for (const name of names) {
      const made = await test.ask('POST', '/v1/api-keys', { name });
      assert.equal(made.status, 201);
      assert.equal((made.body as { name: string }).name, name);
      for (const path of ['users', 'users?search=', 'audit?actor=', 'audit?cursor=', 'users?cursor=']) {
        const { status } = await test.ask(
          'GET',
          `/v1/${path}${path === 'users' ? '' : encodeURIComponent(name)}`,
        );
        assert.equal(status, 200);
      }
      const unknown = await test.ask('PATCH', `/v1/users/${encodeURIComponent(name)}`, { role: 'reader' });
      assert.equal(unknown.status, 404);
    }
  });
});

it('bodies that are no JSON, not of the type or too long are refused with a code', async () => {
  await using test = await startTestServer();
  for (const body of ['{', '[]', '"text"', '{"email":"a@example.org","__proto__":{"x":1}}', '\u0000']) {
    const answer = await test.ask('POST', '/v1/auth/login', body, null);
    assert.deepEqual([answer.status, codeOf(answer)], [400, 'HW_USAGE'], body);
  }
  const long = await test.ask(
    'POST',
    '/v1/auth/login',
    { email: 'a@b.c', password: 'x'.repeat(20_000) },
    null,
  );
  assert.deepEqual([long.status, codeOf(long)], [413, 'HW_TOO_LARGE']);
  const form = await fetch(`${test.url}/v1/auth/login`, {
    method: 'POST',
    body: new URLSearchParams({ a: 'b' }),
  });
  assert.equal(form.status, 400);
  assert.equal(((await form.json()) as { code: string }).code, 'HW_USAGE');
});

it('paths that are not there and what is no HTTP are refused with a code', async () => {
  await using test = await startTestServer();
  const lost = await test.ask('GET', '/v1/nothing?token=secret');
  assert.deepEqual([lost.status, codeOf(lost)], [404, 'HW_NOT_FOUND']);
  assert.ok(!JSON.stringify(lost.body).includes('secret'));
  for (const path of ['/v1/users/%ff', '/%zz', '/v1/users/%c0%ae']) {
    const { status, body } = await test.ask('GET', path);
    assert.deepEqual([status, (body as { code: string }).code], [400, 'HW_USAGE'], path);
  }
  for (const [bytes, status, code] of [
    ['nonsense\r\n\r\n', 400, 'HW_USAGE'],
    [`GET / HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`, 431, 'HW_TOO_LARGE'],
    ['GET / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n', 400, 'HW_USAGE'],
  ] as const) {
    const answer = await sent(test.server.port, bytes);
    assert.match(answer, new RegExp(`^HTTP/1.1 ${status} `));
    assert.equal((JSON.parse(answer.slice(answer.indexOf('\r\n\r\n'))) as { code: string }).code, code);
  }
});

async function sent(port: number, bytes: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.write(bytes);
  return text(socket);
}

/** The body without each of its fields, with one more, and with each of the given values. */
function wrongBodies(
  method: string,
  path: string,
  right: Body,
  values: readonly (readonly [string, unknown])[],
): (readonly [string, string, unknown, string])[] {
  const without = Object.keys(right).map((field) => {
    const { [field]: _left, ...rest } = right;
    return [method, path, rest, field] as const;
  });
  const wrong = values.map(([field, value]) => [method, path, { ...right, [field]: value }, field] as const);
  return [
    ...without,
    ...wrong,
    [method, path, { ...right, extra: 1 }, 'extra'],
    [method, path, [], 'body'],
    [method, path, undefined, 'body'],
  ];
}

function codeOf({ body }: Answer): string {
  return (body as { code: string }).code;
}
