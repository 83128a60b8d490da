import { statfs } from 'node:fs/promises';

import { timesAsFast } from '../bars.ts';
import { headwaterGet, shown, type Job } from '../commands.ts';
import { sparseContent, type Content } from '../content.ts';
import { downloading, type Downloader } from '../download.ts';
import { measure } from '../measure.ts';
import { Nginx, freePorts } from '../nginx.ts';
import { run } from '../processes.ts';
import { GIB, type Figures } from '../results.ts';
import type { Bar, BenchContext, Contestant, OpenScene, Scene } from '../scene.ts';
import { Workspace } from '../workspace.ts';

const SIZE = 20 * GIB;
const QUICK_SIZE = 2 * GIB;
/** What fits into memory, for rates that no disk bounds. */
const SMALL_SIZE = 4 * GIB;
const QUICK_SMALL_SIZE = GIB;
const MANY = 64;
const FEW = 3;
/** Where the output goes: a disk, for zeros take memory too. */
const DISK = '/var/tmp';
/** Left free beside an output. */
const SPARE = 2 * GIB;
/** Rounds with the large file. */
const LARGE_ROUNDS = 1;
/** Seconds: 20 GiB at 40 MiB/s. */
const DEADLINE = 512;
const MEGABYTE = 1e6;

export const manySources: Scene = {
  id: 'many-sources',
  title: 'A sparse file of 20 GiB from 64 and from 3 servers',
  rows: ['many'],
  tools: ['nginx', 'time'],
  needsRoot: false,
  open,
};

async function open(context: BenchContext): Promise<OpenScene> {
  const { workspace } = context;
  const resources = new AsyncDisposableStack();
  try {
    const wanted = context.quick ? QUICK_SIZE : SIZE;
    const size = Math.min(wanted, await roomAt(DISK));
    const content = await sparseContent(workspace, 'sparse', size);
    const smallSize = Math.min(context.quick ? QUICK_SMALL_SIZE : SMALL_SIZE, await roomAt(workspace.path));
    const small = await sparseContent(workspace, 'small-sparse', smallSize);
    resources.defer(() => workspace.remove(content.path, small.path));
    const settings = { root: workspace.at('served'), address: '127.0.0.1', ports: await freePorts(MANY) };
    const server = resources.use(await Nginx.start(workspace, settings));
    const disk = resources.use(await Workspace.open(DISK));
    const output = disk.at('output', 'file');
    return {
      facts: { bytes: size },
      notes: [
        `One nginx on ${MANY} ports; memory is the highest of all runs.`,
        'The disk bounds the rate of any number of sources, so the bar for the rate is held with a file that fits into memory.',
        ...(size < wanted ? ['The file is smaller than 20 GiB: the disk has no room for it.'] : []),
      ],
      contestants: [FEW, MANY].flatMap((count) => {
        const urlsOf = ({ name }: Content): string[] => server.urls(name).slice(0, count);
        const memory = workspace.at('output', 'file');
        return [
          toMemory(context, small, { urls: urlsOf(small), output: memory }, count),
          toDisk(context, content, { urls: urlsOf(content), output }, count),
          toNowhere(context, content, { urls: urlsOf(content), output: '-' }, count),
        ];
      }),
      bars: BARS,
      [Symbol.asyncDispose]: () => resources.disposeAsync(),
    };
  } catch (error) {
    await resources.disposeAsync();
    throw error;
  }
}

/** Whole GiB that a file in `folder` may take. */
async function roomAt(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  const room = bavail * bsize - SPARE;
  if (room < GIB) throw new Error(`${folder} has no room for an output`);
  return room - (room % GIB);
}

function toMemory(context: BenchContext, content: Content, job: Job, count: number): Contestant {
  const downloader: Downloader = {
    id: `memory-${count}`,
    label: `headwater, ${count} sources, ${content.size / GIB} GiB to memory`,
    ours: true,
    rows: ['many'],
    words: (each) => headwaterGet(each, '--manifest', content.manifest),
  };
  return downloading(context, downloader, { content, job, touch: content.size * 1.25 });
}

function toDisk(context: BenchContext, content: Content, job: Job, count: number): Contestant {
  const downloader: Downloader = {
    id: `disk-${count}`,
    label: `headwater, ${count} sources, to a disk`,
    ours: true,
    rows: ['many'],
    mostRounds: LARGE_ROUNDS,
    words: (each) => headwaterGet(each, '--manifest', content.manifest),
  };
  return downloading(context, downloader, { content, job, deadline: DEADLINE, before: settleDisk });
}

/** What an earlier run has left to write is written, so that the next one finds the disk idle. */
async function settleDisk(): Promise<void> {
  await run(['sync', '-f', DISK]);
}

/** In order to standard output, which is /dev/null: how fast it is with no disk in the way. */
function toNowhere(context: BenchContext, content: Content, job: Job, count: number): Contestant {
  const words = headwaterGet(job, '--manifest', content.manifest);
  return {
    id: `nowhere-${count}`,
    label: `headwater, ${count} sources, to /dev/null`,
    command: `${shown(words, job, { [content.manifest]: 'MANIFEST' })} >/dev/null`,
    ours: true,
    rows: ['many'],
    mostRounds: LARGE_ROUNDS,
    run: async (round) => ({
      round,
      ...(await measure(context, words, { deadline: DEADLINE })),
      bytes: content.size,
    }),
  };
}

const WORK = { row: 'many', work: '64 sources, a sparse file of 20 GiB' } as const;

const BARS: readonly Bar[] = [
  {
    ...WORK,
    text: 'resident memory, to a disk',
    demand: 'most',
    bound: 170,
    unit: 'MB',
    value: (of) => megabytes(of('disk-64')),
  },
  {
    ...WORK,
    text: 'resident memory, to standard output',
    demand: 'most',
    bound: 170,
    unit: 'MB',
    value: (of) => megabytes(of('nowhere-64')),
  },
  {
    ...WORK,
    text: 'rate with 3 sources, to memory',
    demand: 'least',
    bound: 1,
    unit: 'x',
    value: timesAsFast('memory-64', 'memory-3'),
  },
  {
    ...WORK,
    text: 'rate with 3 sources, to a disk',
    demand: 'least',
    bound: 1,
    unit: 'x',
    aside: true,
    value: timesAsFast('disk-64', 'disk-3'),
  },
  {
    ...WORK,
    text: 'rate with 3 sources, to standard output',
    demand: 'least',
    bound: 1,
    unit: 'x',
    aside: true,
    value: timesAsFast('nowhere-64', 'nowhere-3'),
  },
];

function megabytes(figures: Figures): number {
  return figures.memory / MEGABYTE;
}
