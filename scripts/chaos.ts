/**
 * A real fleet of processes under random faults: `npm run chaos -- [--minutes N] [--seed N] [--servers N]`. Clients put,
 * get, rename and delete files while servers are killed, stopped and continued, emptied, and have bits of stored chunks
 * flipped, and leaders are killed. HEADWATER_DATABASE_URL (an empty database) and HEADWATER_BROKER_URL are used where they are
 * set. What must hold throughout is checked; at the end everything must be back to its copies.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { ChaosClients } from './chaos/clients.ts';
import { ChaosFaults } from './chaos/faults.ts';
import { ChaosFleet } from './chaos/fleet.ts';
import { seeded } from './chaos/random.ts';

/** Minutes from the last fault until every chunk has its copies again. */
const HEALED_WITHIN = 3;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    servers: { type: 'string', default: '8' },
  },
});
const minutes = Number(values.minutes);
const seed = Number(values.seed);
const servers = Number(values.servers);
if (!(minutes > 0) || !Number.isSafeInteger(seed) || !(servers >= 4)) {
  console.error('npm run chaos -- [--minutes N] [--seed N] [--servers N, 4 or more]');
  process.exit(2);
}

process.exitCode = (await chaos()) ? 0 : 1;

async function chaos(): Promise<boolean> {
  console.log(`chaos: seed ${seed}, ${minutes} minutes, ${servers} file servers`);
  const folder = await mkdtemp(join(tmpdir(), 'headwater-chaos-'));
  const random = seeded(seed);
  await using fleet = await ChaosFleet.start(folder, servers);
  const clients = new ChaosClients(fleet, random, folder);
  const faults = new ChaosFaults(fleet, random);
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), minutes * 60_000);
  process.once('SIGINT', () => stop.abort());
  await Promise.all([clients.run(stop.signal), faults.run(stop.signal)]);
  clearTimeout(timer);
  await faults.undo();
  const healed = await clients.healed(HEALED_WITHIN * 60_000);
  await clients.checkAll();
  for (const [what, count] of [...clients.counts, ...faults.counts]) console.log(`  ${what}: ${count}`);
  for (const broken of clients.broken) console.log(`BROKEN: ${broken}`);
  if (healed === undefined)
    console.log(`BROKEN: not every chunk has its copies after ${HEALED_WITHIN} minutes`);
  else console.log(`  seconds until every chunk had its copies again: ${healed.toFixed(1)}`);
  const good = clients.broken.length === 0 && healed !== undefined;
  console.log(good ? 'chaos: every promise was kept' : `chaos: broken; run again with --seed ${seed}`);
  if (good) await rm(folder, { recursive: true, force: true });
  else console.log(`chaos: the fleet's folder is kept: ${folder}`);
  return good;
}
