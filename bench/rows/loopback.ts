import { timesAsFast, timesTheCpu } from '../bars.ts';
import {
  ARIA2_ADVISED,
  ARIA2_LOOPBACK,
  aria2,
  axel,
  curl,
  headwaterGet,
  lftp,
  type Job,
} from '../commands.ts';
import { randomContent, type Content } from '../content.ts';
import { downloading, type Downloader } from '../download.ts';
import { Nginx, freePorts } from '../nginx.ts';
import { GIB } from '../results.ts';
import type { Bar, BenchContext, OpenScene, Scene } from '../scene.ts';

const SERVERS = 3;
/** Rounds of those who stand in the table only for comparison. */
const ASIDE_ROUNDS = 3;

export const loopback: Scene = {
  id: 'loopback',
  title: '1 GiB from three nginx on loopback to memory',
  rows: ['sha256', 'manifest', 'plain', 'cpu'],
  tools: ['nginx', 'aria2c', 'lftp', 'axel', 'curl', 'time'],
  needsRoot: false,
  open,
};

async function open(context: BenchContext): Promise<OpenScene> {
  const notes = ["lftp's pget takes one URL, so all three of its connections go to one server."];
  return { ...(await openWith(context, downloaders)), notes, bars: BARS };
}

/** Three servers with the same file, and whoever downloads it. */
export async function openWith(
  context: BenchContext,
  downloadersOf: (content: Content) => readonly Downloader[],
): Promise<OpenScene> {
  const { workspace } = context;
  const resources = new AsyncDisposableStack();
  try {
    const content = await randomContent(workspace, 'random', GIB);
    resources.defer(() => workspace.remove(content.path));
    const urls: string[] = [];
    for (const port of await freePorts(SERVERS)) {
      const settings = { root: workspace.at('served'), address: '127.0.0.1', ports: [port] };
      urls.push(...resources.use(await Nginx.start(workspace, settings)).urls(content.name));
    }
    const job: Job = { urls, output: workspace.at('output', 'file') };
    const settings = { content, job, touch: content.size * 1.25 };
    return {
      facts: { bytes: content.size },
      notes: [],
      contestants: downloadersOf(content).map((each) => downloading(context, each, settings)),
      bars: [],
      [Symbol.asyncDispose]: () => resources.disposeAsync(),
    };
  } catch (error) {
    await resources.disposeAsync();
    throw error;
  }
}

/** Ours and the rivals take turns. */
function downloaders({ sha256, manifest }: Content): Downloader[] {
  const check = `--checksum=sha-256=${sha256}`;
  return [
    {
      id: 'aria2-checksum',
      label: 'aria2c --checksum',
      rows: ['sha256', 'manifest', 'cpu'],
      words: (job) => aria2(job, ...ARIA2_LOOPBACK, check),
    },
    {
      id: 'ours-sha256',
      label: 'headwater --sha256',
      ours: true,
      rows: ['sha256'],
      words: (job) => headwaterGet(job, '--sha256', sha256),
    },
    {
      id: 'aria2',
      label: 'aria2c, no checksum',
      rows: ['manifest', 'plain'],
      words: (job) => aria2(job, ...ARIA2_LOOPBACK),
    },
    {
      id: 'ours-manifest',
      label: 'headwater --manifest',
      ours: true,
      rows: ['manifest', 'cpu'],
      words: (job) => headwaterGet(job, '--manifest', manifest),
    },
    { id: 'lftp', label: 'lftp pget', rows: ['plain'], words: (job) => lftp(job, SERVERS) },
    {
      id: 'ours-plain',
      label: 'headwater, nothing to verify',
      ours: true,
      rows: ['plain'],
      words: (job) => headwaterGet(job),
    },
    {
      id: 'aria2-advised',
      label: 'aria2c, as guides advise',
      rows: ['manifest', 'plain'],
      mostRounds: ASIDE_ROUNDS,
      words: (job) => aria2(job, ...ARIA2_ADVISED),
    },
    {
      id: 'curl',
      label: 'curl, one server',
      rows: ['plain'],
      mostRounds: ASIDE_ROUNDS,
      words: (job) => curl(job),
    },
    {
      id: 'aria2-advised-checksum',
      label: 'aria2c --checksum, as guides advise',
      rows: ['sha256', 'manifest', 'cpu'],
      mostRounds: ASIDE_ROUNDS,
      words: (job) => aria2(job, ...ARIA2_ADVISED, check),
    },
    {
      id: 'axel',
      label: 'axel',
      rows: ['plain'],
      mostRounds: ASIDE_ROUNDS,
      words: (job) => axel(job, SERVERS),
    },
  ];
}

const SHA256 = { row: 'sha256', work: '1 GiB from 3 nginx, `--sha256` given', unit: 'x' } as const;
const MANIFEST = { row: 'manifest', work: 'the same with a manifest', unit: 'x' } as const;
const PLAIN = { row: 'plain', work: 'the same, nothing to verify', unit: 'x' } as const;
const CPU = { row: 'cpu', work: 'CPU per GiB, with a manifest', unit: 'x' } as const;

const BARS: readonly Bar[] = [
  {
    ...SHA256,
    text: 'speed of aria2c with `--checksum`',
    demand: 'least',
    bound: 2.2,
    value: timesAsFast('ours-sha256', 'aria2-checksum'),
  },
  {
    ...SHA256,
    text: 'speed of aria2c with `--checksum`, as guides advise',
    demand: 'least',
    bound: 2.2,
    aside: true,
    value: timesAsFast('ours-sha256', 'aria2-advised-checksum'),
  },
  {
    ...MANIFEST,
    text: 'speed of aria2c without checksum',
    demand: 'least',
    bound: 1,
    value: timesAsFast('ours-manifest', 'aria2'),
  },
  {
    ...MANIFEST,
    text: 'speed of aria2c with `--checksum`',
    demand: 'least',
    bound: 2.4,
    value: timesAsFast('ours-manifest', 'aria2-checksum'),
  },
  {
    ...MANIFEST,
    text: 'speed of aria2c without checksum, as guides advise',
    demand: 'least',
    bound: 1,
    aside: true,
    value: timesAsFast('ours-manifest', 'aria2-advised'),
  },
  {
    ...MANIFEST,
    text: 'speed of aria2c with `--checksum`, as guides advise',
    demand: 'least',
    bound: 2.4,
    aside: true,
    value: timesAsFast('ours-manifest', 'aria2-advised-checksum'),
  },
  {
    ...PLAIN,
    text: 'speed of aria2c',
    demand: 'least',
    bound: 1.6,
    value: timesAsFast('ours-plain', 'aria2'),
  },
  {
    ...PLAIN,
    text: 'speed of lftp pget',
    demand: 'least',
    bound: 1,
    value: timesAsFast('ours-plain', 'lftp'),
  },
  {
    ...PLAIN,
    text: 'speed of aria2c, as guides advise',
    demand: 'least',
    bound: 1.6,
    aside: true,
    value: timesAsFast('ours-plain', 'aria2-advised'),
  },
  {
    ...CPU,
    text: 'CPU of aria2c with `--checksum`',
    demand: 'most',
    bound: 0.65,
    value: timesTheCpu('ours-manifest', 'aria2-checksum'),
  },
  {
    ...CPU,
    text: 'CPU of aria2c with `--checksum`, as guides advise',
    demand: 'most',
    bound: 0.65,
    aside: true,
    value: timesTheCpu('ours-manifest', 'aria2-advised-checksum'),
  },
];
