import assert from 'node:assert/strict';
import { it } from 'node:test';

import { onEachKind } from './each-kind.ts';
import { ask, startTestServer, type Answer, type TestServer } from './start.ts';

const PASSWORD = 'correct horse battery';
const EMAIL = 'a@example.org';

onEachKind('guessing passwords', (kind) => {
  it('locks the account for a while, on every server, and the right password does not get round it', async () => {
    await using test = await prepared(kind);
    const other = await test.another();
    for (let index = 0; index < 5; index++) {
      assert.equal((await login(test, EMAIL, `guess number ${index}`)).status, 401);
    }
    for (const url of [test.url, other.url]) {
      const locked = await login({ url }, EMAIL, PASSWORD);
      assert.equal(locked.status, 429);
      const { code, details } = locked.body as { code: string; details: { retryAfter: number } };
      assert.equal(code, 'HW_TOO_MANY');
      assert.ok(details.retryAfter >= 1);
      assert.equal(locked.headers.get('retry-after'), String(details.retryAfter));
    }
    await endLocks(test);
    assert.equal((await login(test, EMAIL, PASSWORD)).status, 200);
    // The failures are forgotten: as many as before are free again.
    for (let index = 0; index < 4; index++) {
      assert.equal((await login(test, EMAIL, 'again a guess')).status, 401);
    }
    assert.equal((await login(test, EMAIL, PASSWORD)).status, 200);
  });

  it('locks an email that has no account just the same', async () => {
    await using test = await prepared(kind);
    const statuses: number[] = [];
    for (let index = 0; index < 6; index++) {
      statuses.push((await login(test, 'nobody@example.org', 'a guess at it')).status);
    }
    assert.deepEqual(statuses, [401, 401, 401, 401, 401, 429]);
  });

  it('locks for twice as long after each further failure', async () => {
    await using test = await prepared(kind);
    const locks: number[] = [];
    for (let index = 0; index < 8; index++) {
      await login(test, EMAIL, 'a guess at it');
      const row = await test.database.queries
        .selectFrom('login_attempts')
        .selectAll()
        .where('key', '=', `account:${EMAIL}`)
        .executeTakeFirstOrThrow();
      locks.push(Math.max(0, row.locked_until - row.last_at));
      await endLocks(test);
    }
    assert.deepEqual(locks, [0, 0, 0, 0, 1_000, 2_000, 4_000, 8_000]);
  });

  it('tries few of many guesses that come at once', async () => {
    await using test = await prepared(kind);
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, index) => login(test, EMAIL, `guess number ${index}`)),
    );
    const tried = answers.filter(({ status }) => status === 401).length;
    assert.ok(tried >= 5 && tried <= 7, `${tried} were tried`);
    assert.equal(answers.filter(({ status }) => status === 429).length, 60 - tried);
  });

  it('lets many log in at once who know the password', async () => {
    await using test = await prepared(kind);
    const answers = await Promise.all(Array.from({ length: 20 }, () => login(test, EMAIL, PASSWORD)));
    assert.ok(answers.every(({ status }) => status === 200));
  });

  it('locks an address that guesses at many accounts, and one that knows one account is no better off', async () => {
    await using test = await prepared(kind);
    let tried = 0;
    for (; tried < 100; tried++) {
      if ((await login(test, `user${tried}@example.org`, 'a guess at it')).status === 429) break;
      if (tried % 10 === 0) assert.equal((await login(test, EMAIL, PASSWORD)).status, 200);
    }
    assert.equal(tried, 30);
    assert.equal((await login(test, EMAIL, PASSWORD)).status, 429);
    await endLocks(test);
    assert.equal((await login(test, EMAIL, PASSWORD)).status, 200);
  });

  it('is not helped by a header that says it comes from elsewhere', async () => {
    await using test = await prepared(kind);
    const statuses: number[] = [];
    for (let index = 0; index < 31; index++) {
      const { status } = await fetch(`${test.url}/v1/auth/login`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-forwarded-for': `192.0.2.${index}` },
        body: JSON.stringify({ email: `user${index}@example.org`, password: 'a guess at it' }),
      });
      statuses.push(status);
    }
    assert.equal(statuses.at(-1), 429);
  });
});

async function prepared(kind: 'sqlite' | 'postgresql'): Promise<TestServer> {
  const test = await startTestServer(kind);
  await test.ask('POST', '/v1/users', { email: EMAIL, role: 'reader', password: PASSWORD });
  return test;
}

function login({ url }: { readonly url: string }, email: string, password: string): Promise<Answer> {
  return ask(`${url}/v1/auth/login`, 'POST', { email, password });
}

/** As if the time of the locks had passed. */
async function endLocks({ database }: TestServer): Promise<void> {
  await database.queries.updateTable('login_attempts').set({ locked_until: 0 }).execute();
}
