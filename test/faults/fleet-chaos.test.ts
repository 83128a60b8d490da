import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';

const ROOT = join(import.meta.dirname, '..', '..');
/** Minutes of faults, and what they are drawn from. Longer runs: `npm run chaos`. */
const MINUTES = '0.4';
const SEED = '1';

test('a fleet under random faults hands out right bytes, loses nothing, and is whole again afterwards', async () => {
  const words = [join(ROOT, 'scripts', 'chaos.ts'), '--minutes', MINUTES, '--seed', SEED, '--servers', '6'];
  const env = { ...process.env, HEADWATER_DATABASE_URL: '', HEADWATER_BROKER_URL: '' };
  const child = spawn(process.execPath, words, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => (said += part));
  child.stderr.setEncoding('utf8').on('data', (part: string) => (said += part));
  const [status] = (await once(child, 'close')) as [number | null];
  assert.equal(status, 0, said);
  // A run in which nothing happened would hold to anything.
  for (const what of ['put', 'get', 'file servers killed'])
    assert.match(said, new RegExp(`^  ${what}: [1-9]`, 'm'));
});
