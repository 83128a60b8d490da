import { mkdir, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

import { timesAsFast } from '../bars.ts';
import { headwater, headwaterGet, shown, type Job, type Words } from '../commands.ts';
import { digestOf, randomContent } from '../content.ts';
import { HeadwaterFleet } from '../file-server/headwater-fleet.ts';
import { measure } from '../measure.ts';
import { GIB, MIB, type Sample } from '../results.ts';
import type { Contestant, BenchContext, OpenScene, Scene } from '../scene.ts';

const SERVERS = 3;
const QUICK_SIZE = 256 * MIB;

export const byName: Scene = {
  id: 'by-name',
  title: '1 GiB from three file servers of a fleet, by name and by URL',
  rows: ['by-name'],
  tools: ['time'],
  needsRoot: false,
  open,
};

async function open(context: BenchContext): Promise<OpenScene> {
  const { workspace } = context;
  const resources = new AsyncDisposableStack();
  try {
    const content = await randomContent(workspace, 'random', context.quick ? QUICK_SIZE : GIB);
    resources.defer(() => workspace.remove(content.path));
    const folder = workspace.at('served');
    const places = Array.from({ length: SERVERS }, () => ({ address: '127.0.0.1', folder }));
    const fleet = resources.use(await HeadwaterFleet.start(workspace, places));
    await fleet.holds(content.name, SERVERS);
    const output = workspace.at('output', 'file');

    const run = async (words: Words, round: number): Promise<Sample> => {
      await rm(dirname(output), { recursive: true, force: true });
      await mkdir(dirname(output), { recursive: true });
      await workspace.touchMemory(content.size);
      const measured = await measure(context, words, { env: fleet.env });
      const sample = { round, ...measured, bytes: content.size };
      if (measured.failed !== undefined || (await digestOf(output)) === content.sha256) return sample;
      return { ...sample, failed: 'the file that came out is not the one that was served' };
    };
    const named = headwater('get', content.name, '-o', output, '-q');
    const byUrl = (job: Job): Words => headwaterGet(job, '--manifest', content.manifest);
    /** Grants expire: each round has its own, asked for before the clock starts. */
    const job = async (): Promise<Job> => {
      const { token, sources } = await fleet.grant(content.name);
      return { urls: sources.map(({ url }) => `${url}?token=${token}`), output };
    };
    const example = { urls: ['URL1', 'URL2', 'URL3'], output };
    const contestants: Contestant[] = [
      {
        id: 'name',
        label: 'headwater get NAME',
        command: shown(named, example, { [content.name]: 'NAME' }),
        ours: true,
        rows: ['by-name'],
        run: (round) => run(named, round),
      },
      {
        id: 'url',
        label: 'headwater get of the same servers by URL',
        command: shown(byUrl(example), example, { [content.manifest]: 'MANIFEST' }),
        ours: true,
        rows: ['by-name'],
        run: async (round) => run(byUrl(await job()), round),
      },
    ];
    return {
      facts: { bytes: content.size },
      notes: ['By name: log-in is there; asking for the grant, the manifest and the servers is in the time.'],
      contestants,
      bars: [
        {
          row: 'by-name',
          work: '`get NAME`, 1 GiB from three file servers',
          text: '`get` of the same servers by URL',
          demand: 'least',
          bound: 0.97,
          unit: 'x',
          value: timesAsFast('name', 'url'),
        },
      ],
      [Symbol.asyncDispose]: () => resources.disposeAsync(),
    };
  } catch (error) {
    await resources.disposeAsync();
    throw error;
  }
}
