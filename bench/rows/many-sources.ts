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
const MANY = 64;
const FEW = 3;
/** Where the output goes: a disk, for zeros take memory too. */
const DISK = '/var/tmp';
/** Left free on the disk beside the output. */
const SPARE = 2 * GIB;
/** Rounds to the disk, whose own speed bounds both sides; and to nowhere, which takes half as long. */
const DISK_ROUNDS = 1;
const NOWHERE_ROUNDS = 2;
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
    const size = Math.min(wanted, await roomOnDisk());
    const content = await sparseContent(workspace, 'sparse', size);
    resources.defer(() => workspace.remove(content.path));
    const settings = { root: workspace.at('served'), address: '127.0.0.1', ports: await freePorts(MANY) };
    const urls = resources.use(await Nginx.start(workspace, settings)).urls(content.name);
    const disk = resources.use(await Workspace.open(DISK));
    const output = disk.at('output', 'file');
    return {
      facts: { bytes: size },
      notes: [
        `One nginx on ${MANY} ports; memory is the highest of all runs; the file goes to a disk, whose speed bounds both sides.`,
        ...(size < wanted ? ['The file is smaller than 20 GiB: the disk has no room for it.'] : []),
      ],
      contestants: [FEW, MANY].flatMap((count) => {
        const job: Job = { urls: urls.slice(0, count), output };
        return [toDisk(context, content, job, count), toNowhere(context, content, job, count)];
      }),
      bars: BARS,
      [Symbol.asyncDispose]: () => resources.disposeAsync(),
    };
  } catch (error) {
    await resources.disposeAsync();
    throw error;
  }
}

async function roomOnDisk(): Promise<number> {
  const { bavail, bsize } = await statfs(DISK);
  const room = bavail * bsize - SPARE;
  if (room < GIB) throw new Error(`${DISK} has no room for an output`);
  return room - (room % GIB);
}

function toDisk(context: BenchContext, content: Content, job: Job, count: number): Contestant {
  const downloader: Downloader = {
    id: `disk-${count}`,
    label: `headwater, ${count} sources, to a disk`,
    ours: true,
    rows: ['many'],
    mostRounds: DISK_ROUNDS,
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
  const toStdout = { urls: job.urls, output: '-' };
  const words = headwaterGet(toStdout, '--manifest', content.manifest);
  return {
    id: `nowhere-${count}`,
    label: `headwater, ${count} sources, to /dev/null`,
    command: `${shown(words, toStdout, { [content.manifest]: 'MANIFEST' })} >/dev/null`,
    ours: true,
    rows: ['many'],
    mostRounds: NOWHERE_ROUNDS,
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
    text: 'rate with 3 sources, to a disk',
    demand: 'least',
    bound: 1,
    unit: 'x',
    value: timesAsFast('disk-64', 'disk-3'),
  },
  {
    ...WORK,
    text: 'rate with 3 sources, to standard output',
    demand: 'least',
    bound: 1,
    unit: 'x',
    value: timesAsFast('nowhere-64', 'nowhere-3'),
  },
];

function megabytes(figures: Figures): number {
  return figures.memory / MEGABYTE;
}
