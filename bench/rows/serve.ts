import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

import { timesAsFast, timesTheCpu } from '../bars.ts';
import { headwater } from '../commands.ts';
import { randomContent, type Content } from '../content.ts';
import { Nginx, freePorts } from '../nginx.ts';
import { cleanEnvironment, killTree, run, treeCpuSeconds } from '../processes.ts';
import { GIB, type Sample } from '../results.ts';
import type { Bar, BenchContext, Contestant, OpenScene, Scene } from '../scene.ts';

const READERS = 4;
/** Times each reader fetches its part on one connection: 8 GiB in all, so that starting curl does not matter. */
const REPEATS = 8;
const QUICK_REPEATS = 3;

export const serve: Scene = {
  id: 'serve',
  title: 'Serving 1 GiB to four readers of a quarter each',
  rows: ['serve'],
  tools: ['nginx', 'curl'],
  needsRoot: false,
  open,
};

/** A server that runs: where it serves the content, and the process (with those below it) whose CPU time counts. */
interface Server {
  readonly url: string;
  readonly pid: number;
}

async function open(context: BenchContext): Promise<OpenScene> {
  const { workspace } = context;
  const resources = new AsyncDisposableStack();
  try {
    const content = await randomContent(workspace, 'random', GIB);
    resources.defer(() => workspace.remove(content.path));
    const nginx = async (workers: number): Promise<Server> => {
      const ports = await freePorts(1);
      const settings = { root: workspace.at('served'), address: '127.0.0.1', ports, workers };
      const server = resources.use(await Nginx.start(workspace, settings));
      return { url: server.urls(content.name)[0] ?? '', pid: server.pid };
    };
    const ours = await startOurs(context, content, resources);
    const one = await nginx(1);
    const two = await nginx(2);
    const repeats = context.quick ? QUICK_REPEATS : REPEATS;
    const contestant = (id: string, label: string, command: string, server: Server): Contestant => ({
      id,
      label,
      command,
      ours: id === 'ours',
      rows: ['serve'],
      run: (round) => read(content, server, repeats, round),
    });
    return {
      facts: { bytes: content.size * repeats, readers: READERS },
      notes: [
        "The reader is curl, four at once, to /dev/null; CPU is the server's alone, all its processes and threads.",
        'nginx has one worker, as headwater runs one server in one process; with two workers it is told for comparison.',
      ],
      contestants: [
        contestant('nginx', 'nginx, sendfile, one worker', 'nginx (sendfile on, worker_processes 1)', one),
        contestant('ours', 'headwater serve', 'headwater serve FILE', ours),
        contestant('nginx-2', 'nginx, sendfile, two workers', 'nginx (sendfile on, worker_processes 2)', two),
      ],
      bars: BARS,
      [Symbol.asyncDispose]: () => resources.disposeAsync(),
    };
  } catch (error) {
    await resources.disposeAsync();
    throw error;
  }
}

/** Starts `headwater serve` and waits until it says where it serves. */
async function startOurs(
  { workspace }: BenchContext,
  content: Content,
  resources: AsyncDisposableStack,
): Promise<Server> {
  const [program = '', ...rest] = headwater('serve', content.path, '-a', '127.0.0.1', '-p', '0', '--json');
  const child = spawn(program, rest, {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: cleanEnvironment(workspace.at('home')),
  });
  resources.defer(() => killTree(child));
  const url = await Promise.race([urlSaid(child), endedEarly(child)]);
  return { url: new URL(content.name, url).href, pid: child.pid ?? -1 };
}

async function urlSaid(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error('no output of headwater serve to read');
  const lines = createInterface(child.stdout);
  return new Promise((resolve) => {
    // Goes on reading what it says later, so that it is never stopped by a full pipe.
    lines.on('line', (line) => {
      const url = /http:\/\/127\.0\.0\.1:\d+\//.exec(line)?.[0];
      if (url !== undefined) resolve(url);
    });
  });
}

async function endedEarly(child: ChildProcess): Promise<never> {
  await once(child, 'exit');
  throw new Error('headwater serve ended before it said where it serves');
}

/** Four readers at once, each its own part of the file, again and again on one connection. */
async function read(content: Content, server: Server, repeats: number, round: number): Promise<Sample> {
  const part = Math.ceil(content.size / READERS);
  const readers = Array.from({ length: READERS }, (_, index) => {
    const range = `${index * part}-${Math.min((index + 1) * part, content.size) - 1}`;
    const targets = Array.from({ length: repeats }, () => ['-o', '/dev/null', server.url]).flat();
    return ['curl', '-q', '-s', '-f', '-r', range, '-w', '%{size_download}\n', ...targets];
  });
  const before = treeCpuSeconds(server.pid);
  const started = performance.now();
  const outputs = await Promise.all(readers.map((argv) => run(argv, { allowFailure: true })));
  const seconds = (performance.now() - started) / 1000;
  const cpu = treeCpuSeconds(server.pid) - before;
  const bytes = outputs
    .flatMap(({ stdout }) => stdout.trim().split('\n').map(Number))
    .reduce((sum, each) => sum + each, 0);
  const sample = { round, seconds, cpu, memory: Number.NaN, bytes };
  if (bytes === content.size * repeats) return sample;
  return { ...sample, failed: `the readers got ${bytes} of ${content.size * repeats} bytes` };
}

const WORK = { row: 'serve', work: '`serve`, 4 parallel ranges', unit: 'x' } as const;

const BARS: readonly Bar[] = [
  {
    ...WORK,
    text: 'throughput of nginx with sendfile',
    demand: 'least',
    bound: 0.9,
    value: timesAsFast('ours', 'nginx'),
  },
  {
    ...WORK,
    text: 'CPU per GiB of nginx with sendfile',
    demand: 'most',
    bound: 1.2,
    value: timesTheCpu('ours', 'nginx'),
  },
  {
    ...WORK,
    text: 'throughput of nginx with two workers',
    demand: 'least',
    bound: 0.9,
    aside: true,
    value: timesAsFast('ours', 'nginx-2'),
  },
];
