/**
 * Checks grants as a file server does, and prints one JSON line with what that took. Arguments: `new` or `repeated`, and how
 * many checks.
 */
import { generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { GrantDesk } from '../../src/file-server/fleet/grant-desk.ts';
import { StateFile } from '../../src/file-server/fleet/state-file.ts';

/** Grants that a busy server sees at the same time. */
const REPEATED = 1_000;
/** Checks before those that count. */
const WARMING = 5_000;

const [kind, count] = [process.argv[2], Number(process.argv[3])];
const fleet = randomUUID();
const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const file = randomUUID();
const folder = mkdtempSync(join(tmpdir(), 'headwater-bench-'));
const state = new StateFile(folder);
const desk = new GrantDesk({ state, fleet: () => fleet, askKeys: () => Promise.reject(new Error('nobody')) });
desk.keys.told({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'key' }] });

const warming = tokens(WARMING);
for (const each of warming) await desk.check.check(each, file);
const given = tokens(kind === 'new' ? count : REPEATED);
if (kind === 'repeated') for (const each of given) await desk.check.check(each, file);
const before = process.cpuUsage();
const begun = performance.now();
for (let index = 0; index < count; index++) await desk.check.check(given[index % given.length] ?? '', file);
const seconds = (performance.now() - begun) / 1000;
const { user, system } = process.cpuUsage(before);
process.stdout.write(`${JSON.stringify({ seconds, cpu: (user + system) / 1e6 })}\n`);
desk.close();
state.close();
rmSync(folder, { recursive: true });

function tokens(many: number): string[] {
  const now = Math.floor(Date.now() / 1000);
  return Array.from({ length: many }, () => {
    const claims = {
      iss: fleet,
      aud: 'headwater:file',
      sub: randomUUID(),
      jti: randomUUID(),
      iat: now,
      exp: now + 300,
      file,
      manifest: '0'.repeat(64),
    };
    const signed = `${part({ alg: 'EdDSA', typ: 'JWT', kid: 'key' })}.${part(claims)}`;
    return `${signed}.${sign(null, Buffer.from(signed), privateKey).toString('base64url')}`;
  });
}

function part(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
