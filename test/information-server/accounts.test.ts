import assert from 'node:assert/strict';
import { it } from 'node:test';

import type { ApiKeyList, AuditList, LoginAnswer, NewApiKey, UserList } from '../../src/core/api/accounts.ts';
import { checkPassword, openSession } from '../../src/information-server/accounts/sessions.ts';
import type { Context } from '../../src/information-server/context.ts';
import { onEachKind } from './each-kind.ts';
import { ask, startTestServer, type Answer, type TestServer } from './start.ts';

const PASSWORD = 'correct horse battery';

onEachKind('accounts', (kind) => {
  it('are made, logged in to and out of', async () => {
    await using test = await startTestServer(kind);
    await make(test, 'Reader@Example.org', 'reader');
    const { status, body, headers } = await login(test, 'READER@example.org', PASSWORD);
    assert.equal(status, 200);
    assert.equal(headers.get('cache-control'), 'no-store');
    const { token, expiresAt, user } = body as LoginAnswer;
    assert.equal(user.email, 'reader@example.org');
    assert.ok(Date.parse(expiresAt) > Date.now() + 86_400_000);
    const me = await test.ask('GET', '/v1/me', undefined, token);
    assert.deepEqual(me.body, { ...user, expiresAt });
    assert.equal((await test.ask('POST', '/v1/auth/logout', undefined, token)).status, 204);
    refused(await test.ask('GET', '/v1/me', undefined, token), 401, 'HW_TOKEN_INVALID');
  });

  it('have passwords and tokens that the database does not know', async () => {
    await using test = await startTestServer(kind);
    await make(test, 'a@example.org', 'reader');
    const { token } = (await login(test, 'a@example.org', PASSWORD)).body as LoginAnswer;
    const { key } = (await test.ask('POST', '/v1/api-keys', { name: 'k' }, token)).body as NewApiKey;
    const { queries } = test.database;
    const tables = ['users', 'sessions', 'api_keys', 'audit', 'events', 'fleet'] as const;
    const rows = await Promise.all(tables.map((table) => queries.selectFrom(table).selectAll().execute()));
    const all = JSON.stringify(rows);
    for (const secret of [PASSWORD, token, key, test.joinToken]) assert.ok(!all.includes(secret));
    assert.match(all, /\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
  });

  it('say the same to a wrong password, an unknown email and a disabled account', async () => {
    await using test = await startTestServer(kind);
    await make(test, 'a@example.org', 'reader');
    const id = await make(test, 'b@example.org', 'reader');
    await test.ask('PATCH', `/v1/users/${id}`, { disabled: true });
    const answers = [
      await login(test, 'a@example.org', 'wrong password'),
      await login(test, 'nobody@example.org', PASSWORD),
      await login(test, 'b@example.org', PASSWORD),
    ];
    for (const answer of answers) {
      refused(answer, 401, 'HW_LOGIN');
      assert.deepEqual(answer.body, answers[0]?.body);
    }
  });

  it('can be used only as far as their role goes', async () => {
    await using test = await startTestServer(kind);
    const { token } = await test.user('publisher');
    refused(await test.ask('GET', '/v1/users', undefined, token), 403, 'HW_FORBIDDEN');
    refused(await test.ask('GET', '/v1/audit', undefined, token), 403, 'HW_FORBIDDEN');
    refused(await test.ask('GET', '/v1/users', undefined, null), 401, 'HW_TOKEN_MISSING');
    refused(await test.ask('GET', '/v1/users', undefined, 'nonsense'), 401, 'HW_TOKEN_INVALID');
  });

  it('change at once: role, disabled, password, which ends the sessions', async () => {
    await using test = await startTestServer(kind);
    await make(test, 'a@example.org', 'reader');
    const { token } = (await login(test, 'a@example.org', PASSWORD)).body as LoginAnswer;
    refused(await test.ask('GET', '/v1/users', undefined, token), 403, 'HW_FORBIDDEN');
    assert.equal((await test.ask('PATCH', '/v1/users/a@example.org', { role: 'admin' })).status, 200);
    assert.equal((await test.ask('GET', '/v1/users', undefined, token)).status, 200);
    await test.ask('PATCH', '/v1/users/a@example.org', { password: 'another password' });
    refused(await test.ask('GET', '/v1/me', undefined, token), 401, 'HW_TOKEN_INVALID');
    refused(await login(test, 'a@example.org', PASSWORD), 401, 'HW_LOGIN');
    const again = (await login(test, 'a@example.org', 'another password')).body as LoginAnswer;
    await test.ask('PATCH', '/v1/users/a@example.org', { disabled: true });
    refused(await test.ask('GET', '/v1/me', undefined, again.token), 401, 'HW_TOKEN_INVALID');
  });

  it('are not logged in to by a password that was changed, or an account that was disabled, while it was looked at', async () => {
    await using test = await startTestServer(kind);
    const { database } = test;
    const context = { database, now: Date.now, settings: { times: { session: 60 } } } as unknown as Context;
    const id = await make(test, 'a@example.org', 'reader');
    for (const change of [{ password: 'another password' }, { disabled: true }]) {
      const password = 'disabled' in change ? 'another password' : PASSWORD;
      const user = await checkPassword(context, { email: 'a@example.org', password, address: '192.0.2.1' });
      assert.equal((await test.ask('PATCH', `/v1/users/${id}`, change)).status, 200);
      await assert.rejects(openSession(context, user, '192.0.2.1'), { code: 'HW_LOGIN' });
    }
    assert.deepEqual(
      await database.queries.selectFrom('sessions').select('digest').where('user_id', '=', id).execute(),
      [],
    );
  });

  it('are known to be over on another server of the fleet within about a second', async () => {
    await using test = await startTestServer(kind);
    const other = await test.another();
    const { token, id } = await test.user('reader');
    assert.equal((await ask(`${other.url}/v1/me`, 'GET', undefined, token)).status, 200);
    await test.ask('PATCH', `/v1/users/${id}`, { disabled: true });
    const began = performance.now();
    for (;;) {
      const { status } = await ask(`${other.url}/v1/me`, 'GET', undefined, token);
      if (status === 401) break;
      assert.ok(performance.now() - began < 10_000, 'the other server never noticed');
    }
  });

  it('set their own password with the one before, which ends their other sessions', async () => {
    await using test = await startTestServer(kind);
    await make(test, 'a@example.org', 'reader');
    const one = ((await login(test, 'a@example.org', PASSWORD)).body as LoginAnswer).token;
    const two = ((await login(test, 'a@example.org', PASSWORD)).body as LoginAnswer).token;
    const wrong = { current: 'not this one', password: 'my new password' };
    refused(await test.ask('POST', '/v1/me/password', wrong, one), 401, 'HW_LOGIN');
    const right = { current: PASSWORD, password: 'my new password' };
    assert.equal((await test.ask('POST', '/v1/me/password', right, one)).status, 204);
    assert.equal((await test.ask('GET', '/v1/me', undefined, one)).status, 200);
    assert.equal((await test.ask('GET', '/v1/me', undefined, two)).status, 401);
    assert.equal((await login(test, 'a@example.org', 'my new password')).status, 200);
  });

  it('keep one admin, even when two demote each other at once', async () => {
    await using test = await startTestServer(kind);
    refused(await test.ask('PATCH', '/v1/users/admin@example.org', { role: 'reader' }), 409, 'HW_CONFLICT');
    refused(await test.ask('PATCH', '/v1/users/admin@example.org', { disabled: true }), 409, 'HW_CONFLICT');
    for (let round = 0; round < 5; round++) {
      const other = await test.user('admin');
      const answers = await Promise.all([
        test.ask('PATCH', `/v1/users/${other.id}`, { role: 'reader' }),
        test.ask('PATCH', '/v1/users/admin@example.org', { role: 'reader' }, other.token),
      ]);
      const admins = await test.database.queries
        .selectFrom('users')
        .selectAll()
        .where('role', '=', 'admin')
        .execute();
      assert.equal(admins.length, 1, JSON.stringify(answers));
      await test.database.queries
        .updateTable('users')
        .set({ role: 'admin' })
        .where('email', '=', 'admin@example.org')
        .execute();
      await test.database.queries
        .updateTable('users')
        .set({ role: 'reader' })
        .where('id', '=', other.id)
        .execute();
      await waitUntil(async () => (await test.ask('GET', '/v1/users')).status === 200);
    }
  });

  it('come in pages, are found by a part of the email, and are unique by it', async () => {
    await using test = await startTestServer(kind);
    for (const name of ['ann', 'ben', '100%_cy']) await make(test, `${name}@example.org`, 'reader');
    const again = { email: 'ANN@example.org', password: PASSWORD, role: 'reader' };
    refused(await test.ask('POST', '/v1/users', again), 409, 'HW_CONFLICT');
    const seen: string[] = [];
    for (let next: string | null = ''; next !== null;) {
      const page = await test.ask('GET', `/v1/users?limit=2${next === '' ? '' : `&cursor=${next}`}`);
      const list = page.body as UserList;
      assert.ok(list.items.length <= 2);
      seen.push(...list.items.map(({ email }) => email));
      next = list.next;
    }
    const all = ['admin@example.org', 'ann@example.org', 'ben@example.org', '100%_cy@example.org'];
    assert.deepEqual(seen, all);
    for (const [search, found] of [
      ['AN', ['ann@example.org']],
      ['%', ['100%_cy@example.org']],
      ['_c', ['100%_cy@example.org']],
      ["' or 1=1 --", []],
    ] as const) {
      const { body } = await test.ask('GET', `/v1/users?search=${encodeURIComponent(search)}`);
      assert.deepEqual(
        (body as UserList).items.map(({ email }) => email),
        found,
      );
    }
  });

  it('have keys, shown once, that end, are revoked, and tell when they were used', async () => {
    await using test = await startTestServer(kind);
    const { token, email } = await test.user('reader');
    const made = await test.ask('POST', '/v1/api-keys', { name: 'nightly' }, token);
    assert.equal(made.status, 201);
    const { key, ...shown } = made.body as NewApiKey;
    assert.ok(key.startsWith(shown.start) && key.length > 40);
    const list = async (): Promise<ApiKeyList> =>
      (await test.ask('GET', '/v1/api-keys', undefined, token)).body as ApiKeyList;
    assert.deepEqual((await list()).items, [shown]);
    assert.equal(shown.lastUsedAt, null);
    assert.equal((await test.ask('GET', '/v1/me', undefined, key)).status, 200);
    const [used] = (await list()).items;
    assert.ok(used?.lastUsedAt !== null);
    const theirs = await test.ask('GET', `/v1/api-keys?user=${encodeURIComponent(email)}`);
    assert.equal((theirs.body as ApiKeyList).items.length, 1);
    const stranger = await test.user('reader');
    const path = `/v1/api-keys/${shown.id}`;
    refused(await test.ask('DELETE', path, undefined, stranger.token), 404, 'HW_NOT_FOUND');
    assert.equal((await test.ask('DELETE', path, undefined, token)).status, 204);
    refused(await test.ask('GET', '/v1/me', undefined, key), 401, 'HW_TOKEN_INVALID');
    const past = { name: 'past', expiresAt: new Date(Date.now() - 1000).toISOString() };
    refused(await test.ask('POST', '/v1/api-keys', past, token), 400, 'HW_USAGE');
  });

  it('have keys that make no key which outlives them', async () => {
    await using test = await startTestServer(kind);
    const end = new Date(Date.now() + 60_000).toISOString();
    const { key } = (await test.ask('POST', '/v1/api-keys', { name: 'a', expiresAt: end })).body as NewApiKey;
    const next = (await test.ask('POST', '/v1/api-keys', { name: 'b' }, key)).body as NewApiKey;
    assert.equal(next.expiresAt, end);
  });

  it('tell a token that is over from one that never was', async () => {
    await using test = await startTestServer(kind);
    const { token, id } = await test.user('reader');
    await test.database.queries
      .updateTable('sessions')
      .set({ expires_at: Date.now() - 1 })
      .where('user_id', '=', id)
      .execute();
    refused(await test.ask('GET', '/v1/me', undefined, token), 401, 'HW_TOKEN_EXPIRED');
  });

  it('leave a line in the audit log for every change, with who made it and from where', async () => {
    await using test = await startTestServer(kind);
    const id = await make(test, 'a@example.org', 'reader');
    await login(test, 'a@example.org', PASSWORD);
    await test.ask('PATCH', `/v1/users/${id}`, { role: 'publisher', password: 'another password' });
    const { id: keyId } = (await test.ask('POST', '/v1/api-keys', { name: 'k' })).body as NewApiKey;
    await test.ask('DELETE', `/v1/api-keys/${keyId}`);
    const { items } = (await test.ask('GET', '/v1/audit')).body as AuditList;
    const lines = items.map(({ action, actor, subject }) => ({ action, actor, subject })).toReversed();
    const admin = 'admin@example.org';
    assert.deepEqual(lines, [
      { action: 'user.created', actor: admin, subject: id },
      { action: 'session.opened', actor: 'a@example.org', subject: id },
      { action: 'user.changed', actor: admin, subject: id },
      { action: 'api-key.created', actor: admin, subject: keyId },
      { action: 'api-key.revoked', actor: admin, subject: keyId },
    ]);
    assert.ok(items.every(({ address }) => address === '127.0.0.1'));
    assert.ok(!JSON.stringify(items).includes('another password'));
    const pages = (await test.ask('GET', '/v1/audit?limit=2&action=user.created')).body as AuditList;
    assert.equal(pages.items.length, 1);
    assert.equal(pages.next, null);
  });

  it('have a first admin, made once however many servers start', async () => {
    await using test = await startTestServer(kind);
    await test.database.queries.deleteFrom('audit').execute();
    await test.database.queries.deleteFrom('sessions').execute();
    await test.database.queries.deleteFrom('users').execute();
    const admin = { email: 'first@example.org', password: PASSWORD };
    const servers = await Promise.all([test.another({ admin }), test.another({ admin })]);
    const users = await test.database.queries.selectFrom('users').selectAll().execute();
    assert.deepEqual(
      users.map(({ email, role }) => [email, role]),
      [['first@example.org', 'admin']],
    );
    const { status } = await ask(`${servers[1]?.url}/v1/auth/login`, 'POST', admin);
    assert.equal(status, 200);
  });
});

async function waitUntil(done: () => Promise<boolean>): Promise<void> {
  const began = performance.now();
  while (!(await done())) assert.ok(performance.now() - began < 20_000, 'what was waited for never came');
}

async function make(test: TestServer, email: string, role: string): Promise<string> {
  const { status, body } = await test.ask('POST', '/v1/users', { email, role, password: PASSWORD });
  assert.equal(status, 201, JSON.stringify(body));
  return (body as { id: string }).id;
}

function login(test: TestServer, email: string, password: string): Promise<Answer> {
  return test.ask('POST', '/v1/auth/login', { email, password }, null);
}

function refused({ status, body }: Answer, expected: number, code: string): void {
  assert.deepEqual([status, (body as { code: string }).code], [expected, code], JSON.stringify(body));
}
