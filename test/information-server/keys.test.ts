import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import type { Audience } from '../../src/core/api/events.ts';
import type { GrantClaims } from '../../src/core/api/files.ts';
import { GRANT_AUDIENCE, readGrant, signGrant } from '../../src/information-server/keys/grant-token.ts';
import { KeyRing } from '../../src/information-server/keys/key-ring.ts';
import { rotateKeys } from '../../src/information-server/keys/key-store.ts';
import { makeKeyRow, readKeyRow } from '../../src/information-server/keys/signing-key.ts';
import { makeDatabase, onEachDatabase } from '../unit/database/each-database.ts';
import { onEachKind } from './each-kind.ts';
import { ask, startTestServer } from './start.ts';

const START = 1_800_000_000_000;
const SECOND = 1_000;
const TIMES = { notice: 120 * SECOND, longestGrant: 3_600 * SECOND };
const nothing = async (): Promise<void> => undefined;

function claims(now: number, change: Partial<GrantClaims> = {}): GrantClaims {
  const iat = Math.floor(now / 1000);
  const manifest = 'a'.repeat(64);
  return {
    iss: 'fleet',
    aud: GRANT_AUDIENCE,
    sub: 'user',
    jti: 'grant',
    iat,
    exp: iat + 300,
    file: 'file',
    manifest,
    ...change,
  };
}

onEachDatabase('signing keys', (make) => {
  it('are one for all servers that start at once', async () => {
    await using made = await make();
    const rings = Array.from({ length: 5 }, () => new KeyRing(made.database, () => START));
    const signers = await Promise.all(rings.map((ring) => ring.signer()));
    assert.equal(new Set(signers.map(({ kid }) => kid)).size, 1);
  });

  it('are published before they sign, and trusted until the last grant is over', async () => {
    await using made = await make();
    let now = START;
    const ring = new KeyRing(made.database, () => now);
    const other = new KeyRing(made.database, () => now);
    const first = await ring.signer();
    await other.signer();
    const { kid } = await rotateKeys(made.database, now, TIMES, nothing);
    now += 10 * SECOND;
    for (const each of [ring, other]) {
      assert.equal((await each.signer()).kid, first.kid);
      assert.deepEqual(
        (await each.jwks()).keys.map((key) => key.kid),
        [first.kid, kid],
      );
    }
    now = START + TIMES.notice;
    assert.equal((await other.signer()).kid, kid);
    assert.equal((await other.find(first.kid))?.kid, first.kid);
    now = START + TIMES.notice + TIMES.longestGrant;
    assert.equal(await other.find(first.kid), undefined);
    assert.deepEqual(
      (await ring.jwks()).keys.map((key) => key.kid),
      [kid],
    );
  });

  it('always have one that signs, however often they are rotated', async () => {
    await using made = await make();
    let now = START;
    const ring = new KeyRing(made.database, () => now);
    const { kid } = await ring.signer();
    const kids = [kid];
    const signers = new Set<string>();
    for (let second = 0; second < 400; second++) {
      if (second < 200 && second % 50 === 0)
        kids.push((await rotateKeys(made.database, now, TIMES, nothing)).kid);
      signers.add((await ring.signer()).kid);
      now += SECOND;
    }
    assert.deepEqual([...signers], kids);
  });

  it('are used by a server whose clock is behind that of the one which made them', async () => {
    await using made = await make();
    const { kid } = await new KeyRing(made.database, () => START).signer();
    assert.equal((await new KeyRing(made.database, () => START - 600 * SECOND).signer()).kid, kid);
  });
});

describe('a grant is refused', () => {
  const attacks: readonly [
    string,
    'HW_TOKEN_INVALID' | 'HW_TOKEN_EXPIRED' | 'HW_GRANT_OTHER_FLEET',
    (good: string, publicText: string) => string | Promise<string>,
  ][] = [
    ['with a changed payload', 'HW_TOKEN_INVALID', (good) => withPayload(good, { file: 'other' })],
    ['with a later end', 'HW_TOKEN_INVALID', (good) => withPayload(good, { exp: 4e9 })],
    [
      'with another fleet’s key',
      'HW_TOKEN_INVALID',
      async () => signGrant(await foreignKey(), claims(START)),
    ],
    [
      'with another fleet’s key under the name of ours',
      'HW_TOKEN_INVALID',
      async (good) => signGrant({ ...(await foreignKey()), kid: headOf(good).kid }, claims(START)),
    ],
    ['with alg none', 'HW_TOKEN_INVALID', (good) => unsigned(good, { alg: 'none' })],
    [
      'with alg none and no key id',
      'HW_TOKEN_INVALID',
      () => `${b64({ alg: 'none' })}.${b64(claims(START))}.`,
    ],
    ['signed with the public key as a secret', 'HW_TOKEN_INVALID', withHmac],
    ['without a signature', 'HW_TOKEN_INVALID', (good) => good.slice(0, good.lastIndexOf('.') + 1)],
    ['that is no JWT', 'HW_TOKEN_INVALID', () => 'a.b'],
    ['that is longer than any', 'HW_TOKEN_INVALID', (good) => good + 'A'.repeat(100_000)],
  ];
  for (const [how, code, forge] of attacks) {
    it(how, async () => {
      await using made = await makeDatabase('sqlite');
      const ring = new KeyRing(made.database, () => START);
      const signer = await ring.signer();
      const good = await signGrant(signer, claims(START));
      const publicText = JSON.stringify(signer.publicJwk);
      assert.deepEqual(await readGrant(good, ring, { fleet: 'fleet', now: START }), claims(START));
      const forged = await forge(good, publicText);
      await assert.rejects(readGrant(forged, ring, { fleet: 'fleet', now: START }), { code });
    });
  }

  it('when it has expired, is of another fleet, or is for something else', async () => {
    await using made = await makeDatabase('sqlite');
    const ring = new KeyRing(made.database, () => START);
    const signer = await ring.signer();
    const read = async (change: Partial<GrantClaims>, now = START): Promise<GrantClaims> =>
      readGrant(await signGrant(signer, claims(START, change)), ring, { fleet: 'fleet', now });
    await assert.rejects(read({}, START + 301 * SECOND), { code: 'HW_TOKEN_EXPIRED' });
    await assert.rejects(read({ iss: 'other' }), { code: 'HW_GRANT_OTHER_FLEET' });
    const aud = 'something' as typeof GRANT_AUDIENCE;
    await assert.rejects(read({ aud }), { code: 'HW_TOKEN_INVALID' });
  });
});

onEachKind('rotating keys', (kind) => {
  it('is for admins, tells every file server, and is written down', async () => {
    await using test = await startTestServer(kind);
    const { token } = await test.user('publisher');
    assert.equal((await test.ask('POST', '/v1/keys/rotate', {}, token)).status, 403);
    assert.equal((await test.ask('POST', '/v1/keys/rotate', {}, null)).status, 401);
    const before = await keysAt(test.url);
    const { status, body } = await test.ask('POST', '/v1/keys/rotate');
    assert.equal(status, 200);
    const { kid } = body as { kid: string };
    assert.deepEqual(await keysAt(test.url), [...before, kid]);
    const events = await test.database.queries
      .selectFrom('events')
      .select(['audience', 'data'])
      .where('kind', '=', 'keys.rotated')
      .execute();
    assert.deepEqual(
      events.map(({ audience, data }) => [JSON.parse(audience) as Audience, JSON.parse(data) as unknown]),
      [['all', { kid }]],
    );
    const line = await test.database.queries.selectFrom('audit').selectAll().executeTakeFirstOrThrow();
    assert.deepEqual([line.action, line.actor, line.subject], ['keys.rotated', 'admin@example.org', kid]);
  });

  it('keeps private keys out of what is published', async () => {
    await using test = await startTestServer(kind);
    const { body, headers } = await ask(`${test.url}/.well-known/jwks.json`, 'GET');
    const { keys } = body as { keys: Record<string, unknown>[] };
    assert.deepEqual(
      keys.map((key) => Object.keys(key).sort()),
      [['alg', 'crv', 'kid', 'kty', 'use', 'x']],
    );
    assert.equal(headers.get('cache-control'), 'public, max-age=60');
  });
});

async function keysAt(url: string): Promise<unknown[]> {
  const { body } = await ask(`${url}/.well-known/jwks.json`, 'GET');
  return (body as { keys: { kid: string }[] }).keys.map(({ kid }) => kid);
}

const b64 = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const partsOf = (token: string): string[] => token.split('.');
const decode = (part: string | undefined): object =>
  JSON.parse(Buffer.from(part ?? '', 'base64url').toString()) as object;
const headOf = (token: string): { kid: string } => decode(partsOf(token)[0]) as { kid: string };

function withPayload(good: string, change: object): string {
  const [head, payload, signature] = partsOf(good);
  return `${head}.${b64({ ...decode(payload), ...change })}.${signature}`;
}

function unsigned(good: string, change: object): string {
  const [head, payload] = partsOf(good);
  return `${b64({ ...decode(head), ...change })}.${payload}.`;
}

async function withHmac(good: string, publicText: string): Promise<string> {
  const { createHmac } = await import('node:crypto');
  const signed = `${b64({ alg: 'HS256', typ: 'JWT', kid: headOf(good).kid })}.${partsOf(good)[1]}`;
  return `${signed}.${createHmac('sha256', publicText).update(signed).digest('base64url')}`;
}

async function foreignKey(): Promise<ReturnType<typeof readKeyRow>> {
  const row = await makeKeyRow(START, START);
  return readKeyRow({ ...row, retired_at: null, expires_at: null });
}
