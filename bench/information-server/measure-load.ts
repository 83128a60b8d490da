import type { Sample } from '../results.ts';
import type { BenchContext } from '../scene.ts';
import type { FleetDatabase } from './fleet-database.ts';
import { putLoad, type LoadOrder } from './load.ts';
import { InformationServerProcess } from './server.ts';

/** Seconds of the load before the one that counts. */
const WARMING = 3;

/** One run: an information server of its own on the database, and the load on it. */
export async function measureLoad(
  { workspace, signal }: BenchContext,
  database: FleetDatabase,
  order: LoadOrder,
  round: number,
): Promise<Sample> {
  await using server = await InformationServerProcess.start(workspace, {
    env: { HEADWATER_DATABASE_URL: database.where },
  });
  const load = { ...order, origin: server.url };
  await putLoad({ ...load, seconds: WARMING }, signal);
  const before = server.cpu;
  const { requests, perSecond, p99, failed, firstFailure } = await putLoad(load, signal);
  const seconds = requests / perSecond;
  const sample = {
    round,
    seconds,
    cpu: server.cpu - before,
    memory: server.memory,
    bytes: Number.NaN,
    requests,
    p99,
  };
  if (failed === 0) return sample;
  return { ...sample, failed: `${failed} requests failed: ${firstFailure}` };
}
