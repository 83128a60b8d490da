import { timesAsFast } from '../bars.ts';
import { aria2, headwaterGet, type Job } from '../commands.ts';
import { randomContent } from '../content.ts';
import { downloading, type Downloader } from '../download.ts';
import { Fleet } from '../fleet.ts';
import { MIB } from '../results.ts';
import type { Bar, BenchContext, OpenScene, Scene } from '../scene.ts';

const RATE = '400mbit';
/** What nginx sends on one connection: 2 MiB a second. */
const LIMIT = '2m';
const CONNECTIONS = 16;
const SIZE = 256 * MIB;
const QUICK_SIZE = 128 * MIB;
/** Rounds of those who stand in the table only for comparison. */
const ASIDE_ROUNDS = 2;

export const limited: Scene = {
  id: 'limited',
  title: '256 MiB from one server that sends 2 MiB/s on a connection, host of 400 Mbit/s',
  rows: ['limited'],
  tools: ['nginx', 'aria2c', 'ip', 'time'],
  needsRoot: true,
  open,
};

async function open(context: BenchContext): Promise<OpenScene> {
  const { workspace } = context;
  const resources = new AsyncDisposableStack();
  try {
    const content = await randomContent(workspace, 'random', context.quick ? QUICK_SIZE : SIZE);
    resources.defer(() => workspace.remove(content.path));
    const fleet = resources.use(await Fleet.start(workspace, [RATE], LIMIT));
    const job: Job = { urls: fleet.urls(content.name), output: workspace.at('output', 'file') };
    return {
      facts: { bytes: content.size },
      notes: [],
      contestants: DOWNLOADERS.map((each) => downloading(context, each, { content, job })),
      bars: BARS,
      [Symbol.asyncDispose]: () => resources.disposeAsync(),
    };
  } catch (error) {
    await resources.disposeAsync();
    throw error;
  }
}

const DOWNLOADERS: readonly Downloader[] = [
  {
    id: 'ours',
    label: 'headwater, by itself',
    ours: true,
    rows: ['limited'],
    words: (job) => headwaterGet(job),
  },
  {
    id: 'ours-16',
    label: 'headwater -c 16',
    ours: true,
    rows: ['limited'],
    words: (job) => headwaterGet(job, '-c', String(CONNECTIONS)),
  },
  {
    id: 'aria2',
    label: 'aria2c -s16 -x16 -k1M',
    rows: ['limited'],
    mostRounds: ASIDE_ROUNDS,
    words: (job) => aria2(job, `-s${CONNECTIONS}`, `-x${CONNECTIONS}`, '-k1M'),
  },
];

const WORK = { row: 'limited', work: 'one server limited to 2 MB/s a connection', unit: 'x' } as const;

const BARS: readonly Bar[] = [
  {
    ...WORK,
    text: 'speed with `-c 16`',
    demand: 'least',
    bound: 0.85,
    value: timesAsFast('ours', 'ours-16'),
  },
  {
    ...WORK,
    text: 'speed of aria2c with 16 connections',
    demand: 'least',
    bound: 0.85,
    aside: true,
    value: timesAsFast('ours', 'aria2'),
  },
];
