import { timesTheTime } from '../bars.ts';
import { aria2, axel, headwaterGet, type Job } from '../commands.ts';
import { randomContent } from '../content.ts';
import { downloading, type Downloader } from '../download.ts';
import { Fleet } from '../fleet.ts';
import { MIB } from '../results.ts';
import type { Bar, BenchContext, Contestant, OpenScene, Scene } from '../scene.ts';

const RATES = ['200mbit', '100mbit', '50mbit', '25mbit'];
const SIZE = 256 * MIB;
/** The fastest host, and when it is lost, seconds after the program was started. */
const FASTEST = 1;
const LOSS = 2;
/** Seconds of each host's rate that its goodput is measured over. */
const GOODPUT_TIME = 3;
const QUICK_GOODPUT_TIME = 1;
/** Rounds of those who stand in the table only for comparison. */
const ASIDE_ROUNDS = 2;
/** The setting of aria2 that the bar names. */
const ARIA2_TUNED = ['-s4', '-x1', '-k1M'];

export const fourHosts: Scene = {
  id: 'four-hosts',
  title: '256 MiB from four hosts of 200, 100, 50 and 25 Mbit/s',
  rows: ['hosts', 'killed', 'unplugged'],
  tools: ['nginx', 'aria2c', 'axel', 'curl', 'ip', 'time'],
  needsRoot: true,
  open,
};

async function open(context: BenchContext): Promise<OpenScene> {
  const { workspace } = context;
  const resources = new AsyncDisposableStack();
  try {
    const content = await randomContent(workspace, 'random', SIZE);
    resources.defer(() => workspace.remove(content.path));
    const fleet = resources.use(await Fleet.start(workspace, RATES));
    const goodputs = await fleet.goodputs(content.name, context.quick ? QUICK_GOODPUT_TIME : GOODPUT_TIME);
    const sum = goodputs.reduce((all, each) => all + each, 0);
    const ideal = SIZE / sum;
    const idealLoss = idealAfterLoss(SIZE, goodputs, LOSS);
    const job: Job = { urls: fleet.urls(content.name), output: workspace.at('output', 'file') };
    const settings = { content, job, before: () => fleet.mend() };
    const losses = {
      killed: { after: LOSS, act: () => fleet.kill(FASTEST) },
      unplugged: { after: LOSS, act: () => fleet.unplug(FASTEST) },
    };
    const contestants: Contestant[] = [
      ...WHOLE.map((each) => downloading(context, each, settings)),
      ...LOST.map(({ loss, ...each }) =>
        downloading(context, each, { ...settings, meanwhile: losses[loss] }),
      ),
    ];
    return {
      facts: {
        goodputSum: sum,
        ...Object.fromEntries(goodputs.map((each, index) => [`goodput${index + 1}`, each])),
        idealSeconds: ideal,
        idealSecondsAfterLoss: idealLoss,
      },
      notes: [
        'Summed goodput: what curl gets from each host by itself, one after another (the better of two attempts), added up.',
        `The ideal time after a loss: all hosts send for ${LOSS} s, then the three that are left.`,
      ],
      contestants,
      bars: bars(ideal, idealLoss),
      [Symbol.asyncDispose]: () => resources.disposeAsync(),
    };
  } catch (error) {
    await resources.disposeAsync();
    throw error;
  }
}

/** Seconds for `size` bytes when the first host goes after `loss` seconds and nothing else is lost. */
export function idealAfterLoss(size: number, goodputs: readonly number[], loss: number): number {
  const sum = goodputs.reduce((all, each) => all + each, 0);
  const rest = sum - (goodputs[0] ?? 0);
  return sum * loss >= size ? size / sum : loss + (size - sum * loss) / rest;
}

const WHOLE: readonly Downloader[] = [
  {
    id: 'aria2-tuned',
    label: 'aria2c -s4 -x1 -k1M',
    rows: ['hosts'],
    words: (job) => aria2(job, ...ARIA2_TUNED),
  },
  { id: 'ours', label: 'headwater', ours: true, rows: ['hosts'], words: (job) => headwaterGet(job) },
  { id: 'aria2', label: 'aria2c as it comes', rows: ['hosts'], words: (job) => aria2(job) },
  { id: 'axel', label: 'axel', rows: ['hosts'], mostRounds: ASIDE_ROUNDS, words: (job) => axel(job, 4) },
];

const LOST: readonly (Downloader & { readonly loss: 'killed' | 'unplugged' })[] = [
  {
    id: 'ours-killed',
    label: 'headwater, fastest host killed',
    ours: true,
    rows: ['killed'],
    loss: 'killed',
    words: (job) => headwaterGet(job),
  },
  {
    id: 'aria2-killed',
    label: 'aria2c -s4 -x1 -k1M, fastest host killed',
    rows: ['killed'],
    loss: 'killed',
    mostRounds: ASIDE_ROUNDS,
    words: (job) => aria2(job, ...ARIA2_TUNED),
  },
  {
    id: 'ours-unplugged',
    label: 'headwater, fastest host unplugged',
    ours: true,
    rows: ['unplugged'],
    loss: 'unplugged',
    words: (job) => headwaterGet(job),
  },
  {
    id: 'aria2-unplugged',
    label: 'aria2c -s4 -x1 -k1M, fastest host unplugged',
    rows: ['unplugged'],
    loss: 'unplugged',
    mostRounds: ASIDE_ROUNDS,
    words: (job) => aria2(job, ...ARIA2_TUNED),
  },
];

function bars(ideal: number, idealLoss: number): Bar[] {
  const hosts = { row: 'hosts', work: 'four hosts of 200/100/50/25 Mbit/s, 256 MiB', unit: 'x' } as const;
  const killed = { row: 'killed', work: 'the fastest of them killed after 2 s', unit: 'x' } as const;
  const unplugged = { row: 'unplugged', work: 'its cable pulled after 2 s', unit: 'x' } as const;
  const lost = (id: string) => (of: (id: string) => { readonly seconds: number }) =>
    of(id).seconds / idealLoss;
  return [
    {
      ...hosts,
      text: "the hosts' summed goodput",
      demand: 'least',
      bound: 0.97,
      value: (of) => ideal / of('ours').seconds,
    },
    {
      ...hosts,
      text: 'time of tuned aria2c (`-s4 -x1 -k1M`)',
      demand: 'most',
      bound: 1,
      value: timesTheTime('ours', 'aria2-tuned'),
    },
    {
      ...hosts,
      text: 'time of aria2c as it comes',
      demand: 'most',
      bound: 0.65,
      value: timesTheTime('ours', 'aria2'),
    },
    { ...killed, text: 'the ideal time', demand: 'most', bound: 1.05, value: lost('ours-killed') },
    { ...unplugged, text: 'the ideal time', demand: 'most', bound: 1.1, value: lost('ours-unplugged') },
  ];
}
