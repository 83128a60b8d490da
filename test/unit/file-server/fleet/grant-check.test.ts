import assert from 'node:assert/strict';
import { generateKeyPairSync, randomUUID, sign, type KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';

import { FleetClock } from '../../../../src/file-server/fleet/fleet-clock.ts';
import { GrantCheck } from '../../../../src/file-server/fleet/grant-check.ts';
import { KeyRing, type KeySet } from '../../../../src/file-server/fleet/key-ring.ts';
import { Revocations } from '../../../../src/file-server/fleet/revocations.ts';
import { StateFile } from '../../../../src/file-server/fleet/state-file.ts';

const fleet = randomUUID();
const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
const jwk = (key: KeyObject, kid: string) => ({ ...key.export({ format: 'jwk' }), kid });

function token(claims: object = {}, key = privateKey, kid = 'one'): string {
  const now = Math.floor(Date.now() / 1000);
  const all = {
    iss: fleet,
    aud: 'headwater:file',
    sub: 'user',
    jti: 'grant',
    iat: now,
    exp: now + 300,
    file: 'file',
    manifest: '0'.repeat(64),
    ...claims,
  };
  const signed = `${part({ alg: 'EdDSA', kid })}.${part(all)}`;
  return `${signed}.${sign(null, Buffer.from(signed), key).toString('base64url')}`;
}

let folder: string;
let state: StateFile;
let clock: FleetClock;
let revocations: Revocations;
let keys: KeyRing;
let asked: number;
let told: KeySet | Error;
let check: GrantCheck;

function reopen(): void {
  state = new StateFile(folder);
  clock = new FleetClock();
  revocations = new Revocations(state, clock);
  keys = new KeyRing({
    kept: { keys: [jwk(publicKey, 'one')] },
    ask: async () => {
      asked++;
      if (told instanceof Error) throw told;
      return told;
    },
    keep: () => undefined,
  });
  check = new GrantCheck({ fleet: () => fleet, keys, clock, revocations });
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'headwater-check-'));
  asked = 0;
  told = { keys: [jwk(publicKey, 'one')] };
  reopen();
});

afterEach(() => {
  keys.close();
  state.close();
  rmSync(folder, { recursive: true, force: true });
});

const refused = (given: string, code: string, file = 'file') =>
  assert.rejects(check.check(given, file), { code });

describe('a grant that was checked before', () => {
  test('is refused as soon as its time is over', async () => {
    const given = token({ exp: Math.floor(Date.now() / 1000) + 100 });
    await check.check(given, 'file');
    clock.heard(Date.now() + 104_000, performance.now());
    await check.check(given, 'file');
    clock.heard(Date.now() + 107_000, performance.now());
    await refused(given, 'HW_TOKEN_EXPIRED');
  });

  test('is refused for another file, and once it was revoked or its file deleted', async () => {
    const given = token();
    await check.check(given, 'file');
    await refused(given, 'HW_GRANT_OTHER_FILE', 'another');
    await check.check(given, 'file');
    revocations.revoke('grant', Date.now() + 300_000);
    await refused(given, 'HW_GRANT_REVOKED');
    const other = token({ jti: 'other' });
    await check.check(other, 'file');
    revocations.fileDeleted('file');
    await refused(other, 'HW_GRANT_REVOKED');
  });

  test('is refused once its key counts no more', async () => {
    const given = token();
    await check.check(given, 'file');
    keys.told({ keys: [] });
    told = { keys: [] };
    await refused(given, 'HW_TOKEN_INVALID');
  });

  test('is not taken for one that differs in a single bit', async () => {
    const given = token();
    await check.check(given, 'file');
    for (let index = 0; index < given.length; index += 7) {
      const bit = given[index] === 'A' ? 'B' : 'A';
      await assert.rejects(check.check(given.slice(0, index) + bit + given.slice(index + 1), 'file'));
    }
  });
});

describe('what was revoked', () => {
  test('is remembered by the next process until nothing could come up with it any more', async () => {
    revocations.revoke('grant', Date.now() + 300_000);
    revocations.fileDeleted('deleted');
    keys.close();
    state.close();
    reopen();
    await refused(token(), 'HW_GRANT_REVOKED');
    await refused(token({ jti: 'x', file: 'deleted' }), 'HW_GRANT_REVOKED', 'deleted');
    clock.heard(Date.now() + 2 * 86_400_000, performance.now());
    state.close();
    state = new StateFile(folder);
    assert.equal(new Revocations(state, clock).size, 0);
  });
});

describe('a key that is not known', () => {
  test('is asked for once, by all who wait, and not again for a while', async () => {
    const next = generateKeyPairSync('ed25519');
    told = { keys: [jwk(publicKey, 'one'), jwk(next.publicKey, 'two')] };
    const given = token({}, next.privateKey, 'two');
    await Promise.all([check.check(given, 'file'), check.check(given, 'file')]);
    assert.equal(asked, 1);
    await refused(token({}, next.privateKey, 'three'), 'HW_TOKEN_INVALID');
    assert.equal(asked, 1);
  });

  test('leaves those that are known when nobody answers', async () => {
    told = new Error('away');
    await refused(token({}, privateKey, 'two'), 'HW_TOKEN_INVALID');
    await check.check(token(), 'file');
    assert.equal(asked, 1);
  });

  test('is no reason to ask when the grant is of another fleet', async () => {
    await refused(token({ iss: 'other' }, privateKey, 'two'), 'HW_GRANT_OTHER_FLEET');
    assert.equal(asked, 0);
  });

  test('is none when it is no Ed25519 key', async () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
    keys.told({ keys: [jwk(rsa.publicKey, 'one'), { kid: 'two', kty: 'OKP', crv: 'Ed25519', x: 'no key' }] });
    assert.equal(keys.size, 0);
  });
});
