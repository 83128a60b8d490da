import { readdir, rm } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';

import { timesAsFast } from '../bars.ts';
import { headwater } from '../commands.ts';
import { randomContent } from '../content.ts';
import { HeadwaterFleet } from '../file-server/headwater-fleet.ts';
import { measure } from '../measure.ts';
import { Nginx, freePorts } from '../nginx.ts';
import { run } from '../processes.ts';
import { GIB, MIB, type Figures, type Sample } from '../results.ts';
import type { Bar, BenchContext, Contestant, OpenScene, Scene } from '../scene.ts';

const SERVERS = 2;
const QUICK_SIZE = 256 * MIB;
const NAME = 'published';
/** Milliseconds that the servers get to remove what was deleted, and between looks. */
const DEADLINE = 60_000;
const LOOK = 100;

export const publishing: Scene = {
  id: 'put',
  title: '1 GiB published to two file servers of a fleet',
  rows: ['put'],
  tools: ['nginx', 'curl', 'time'],
  needsRoot: false,
  open,
};

async function open(context: BenchContext): Promise<OpenScene> {
  const { workspace } = context;
  const resources = new AsyncDisposableStack();
  try {
    const content = await randomContent(workspace, 'random', context.quick ? QUICK_SIZE : GIB);
    resources.defer(() => workspace.remove(content.path));
    const folder = await workspace.folder('empty');
    const places = Array.from({ length: SERVERS }, () => ({ address: '127.0.0.1', folder }));
    const fleet = resources.use(await HeadwaterFleet.start(workspace, places));
    await fleet.runs();
    const stores = places.map((_, index) => workspace.at(`server-${index + 1}`, 'chunks'));
    const root = await workspace.folder('taken');
    const nginx = resources.use(
      await Nginx.start(workspace, {
        root,
        address: '127.0.0.1',
        ports: await freePorts(1),
        takesFiles: true,
      }),
    );
    const [url = ''] = nginx.urls(NAME);

    const clear = async (): Promise<void> => {
      await run(headwater('rm', '--yes', NAME), {
        env: { ...process.env, ...fleet.env },
        allowFailure: true,
      });
      await run(headwater('rm', '--yes', `${NAME}-before`), {
        env: { ...process.env, ...fleet.env },
        allowFailure: true,
      });
      await emptied(stores);
      await workspace.touchMemory(content.size);
    };
    const putOf = (name: string, replicas: number) =>
      headwater('put', content.path, '--name', name, '--replicas', String(replicas), '-q');
    const ours = async (round: number, replicas: number, before: boolean): Promise<Sample> => {
      await clear();
      if (before) await run(putOf(`${NAME}-before`, replicas), { env: { ...process.env, ...fleet.env } });
      const measured = await measure(context, putOf(NAME, replicas), { env: fleet.env });
      return { round, ...measured, bytes: content.size };
    };
    const contestant = (id: string, label: string, replicas: number, before = false): Contestant => ({
      id,
      label,
      command: `headwater put FILE --replicas ${replicas}`,
      ours: true,
      rows: ['put'],
      run: (round) => ours(round, replicas, before),
    });
    return {
      facts: { bytes: content.size, servers: SERVERS },
      notes: [
        "Two file servers in one zone, on the same cores as the client, stores in memory. CPU is the client's alone.",
        'nginx takes the file by PUT, in one piece: no digest is computed and nothing is copied to a second server.',
        'From the start of the program to its end: log-in is there, asking, hashing, sending and committing are in the time.',
      ],
      contestants: [
        {
          id: 'curl',
          label: 'curl -T to nginx (WebDAV)',
          command: 'curl -T FILE URL',
          ours: false,
          rows: ['put'],
          run: async (round) => {
            await rm(`${root}/${NAME}`, { force: true });
            await workspace.touchMemory(content.size);
            const words = ['curl', '-q', '-s', '-f', '-T', content.path, url];
            return { round, ...(await measure(context, words)), bytes: content.size };
          },
        },
        contestant('one', 'headwater put, one copy', 1),
        contestant('two', 'headwater put, two copies', 2),
        contestant('again', 'headwater put of what the fleet has', 2, true),
      ],
      bars: BARS,
      [Symbol.asyncDispose]: () => resources.disposeAsync(),
    };
  } catch (error) {
    await resources.disposeAsync();
    throw error;
  }
}

/** What was deleted is gone from the disks. */
async function emptied(stores: readonly string[]): Promise<void> {
  const until = performance.now() + DEADLINE;
  for (const store of stores) {
    for (;;) {
      const entries = await readdir(store, { recursive: true }).catch(() => []);
      if (!entries.some((each) => /[0-9a-f]{64}$/.test(each))) break;
      if (performance.now() > until) throw new Error(`${store} was not emptied`);
      await wait(LOOK);
    }
  }
}

const WORK = { row: 'put', unit: 'GiB/s', demand: 'least' } as const;

const BARS: readonly Bar[] = [
  { ...WORK, work: '`put` 1 GiB, one copy', text: 'the rate', bound: 0.6, value: (of) => rate(of('one')) },
  { ...WORK, work: '`put` 1 GiB, two copies', text: 'the rate', bound: 0.35, value: (of) => rate(of('two')) },
  {
    ...WORK,
    work: '`put` again, hashing only',
    text: 'the rate',
    bound: 1.2,
    value: (of) => rate(of('again')),
  },
  {
    ...WORK,
    work: '`put` 1 GiB, one copy',
    text: '`curl -T` to nginx, without digests',
    unit: 'x',
    bound: 0.5,
    aside: true,
    value: timesAsFast('one', 'curl'),
  },
];

function rate({ bytes, seconds }: Figures): number {
  return bytes / GIB / seconds;
}
