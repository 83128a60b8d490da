import { link, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { headwater, shown } from '../commands.ts';
import { digestOf, randomContent, type Content } from '../content.ts';
import { HeadwaterFleet } from '../file-server/headwater-fleet.ts';
import { measure, type MeasureSettings } from '../measure.ts';
import { Netlab } from '../netlab.ts';
import { run } from '../processes.ts';
import { MIB, type Sample } from '../results.ts';
import type { RowId } from './ids.ts';
import type { Bar, BenchContext, Contestant, OpenScene, Scene } from '../scene.ts';

const RATE = '100mbit';
const HOSTS = 4;
/** Seconds of all its hosts together that a file is long: what starting costs must not decide. */
const SIZES = { 1: 96 * MIB, 2: 160 * MIB, 4: 320 * MIB } as const;
type Hosts = keyof typeof SIZES;
const CLIENTS = 5;
/** When a server is lost, seconds after the start: about half way. */
const LOSS = 6;
/** Bytes that curl fetches to find a host's goodput. */
const GOODPUT_BYTES = 36 * MIB;

export const fleetHosts: Scene = {
  id: 'fleet-hosts',
  title: 'A fleet of file servers on hosts of 100 Mbit/s each',
  rows: ['fleet-growth', 'fleet-clients', 'fleet-loss'],
  tools: ['curl', 'ip', 'time'],
  needsRoot: true,
  open,
};

async function open(context: BenchContext): Promise<OpenScene> {
  const { workspace } = context;
  const resources = new AsyncDisposableStack();
  try {
    const lab = resources.use(await Netlab.up(Array.from({ length: HOSTS }, () => RATE)));
    const contents = new Map<Hosts, Content>();
    for (const hosts of [1, 2, 4] as const) {
      contents.set(hosts, await randomContent(workspace, `held-by-${hosts}`, SIZES[hosts]));
    }
    resources.defer(() => workspace.remove(...[...contents.values()].map(({ path }) => path)));
    const places = await Promise.all(
      Array.from({ length: HOSTS }, async (_, index) => {
        const folder = await workspace.folder(`host-${index + 1}`);
        for (const [hosts, { path, name }] of contents)
          if (index < hosts) await link(path, join(folder, name));
        return { address: lab.address(index + 1), folder, within: lab.within(index + 1) };
      }),
    );
    const client = lab.address(1).replace(/\d+$/, '1');
    const fleet = resources.use(await HeadwaterFleet.start(workspace, places, client));
    for (const [hosts, { name }] of contents) await fleet.holds(name, hosts);

    const contentOf = (hosts: Hosts): Content => {
      const content = contents.get(hosts);
      if (content === undefined) throw new Error(`no file for ${hosts} hosts`);
      return content;
    };
    const goodput = await goodputOf(fleet, contentOf(1).name);

    const get = async (content: Content, index: number, settings: MeasureSettings = {}) => {
      const folder = workspace.at('output', String(index));
      await rm(folder, { recursive: true, force: true });
      await mkdir(folder, { recursive: true });
      const output = join(folder, 'file');
      const words = headwater('get', content.name, '-o', output, '-q');
      const own = { ...settings, accounts: `time-${index}`, env: fleet.env };
      const measured = await measure(context, words, own);
      const isRight = measured.failed !== undefined || (await digestOf(output)) === content.sha256;
      await rm(folder, { recursive: true, force: true });
      return isRight
        ? measured
        : { ...measured, failed: 'the file that came out is not the one that was served' };
    };
    const one = (id: string, label: string, row: RowId, hosts: Hosts): Contestant => ({
      id,
      label,
      command: commandFor(contentOf(hosts)),
      ours: true,
      rows: [row],
      run: async (round) => ({ round, bytes: SIZES[hosts], ...(await get(contentOf(hosts), 0)) }),
    });
    const contestants: Contestant[] = [
      one('one', 'one server', 'fleet-growth', 1),
      one('two', 'two servers', 'fleet-growth', 2),
      one('four', 'four servers', 'fleet-growth', 4),
      {
        id: 'clients',
        label: `two servers, ${CLIENTS} clients at once`,
        command: `${commandFor(contentOf(2))}, ${CLIENTS} times at once`,
        ours: true,
        rows: ['fleet-clients'],
        run: async (round): Promise<Sample> => {
          const started = performance.now();
          const all = await Promise.all(
            Array.from({ length: CLIENTS }, (_, index) => get(contentOf(2), index)),
          );
          const failed = all.find((each) => each.failed !== undefined)?.failed;
          return {
            round,
            // The digests are checked while others still download: the slowest program's own time counts.
            seconds: Math.min(
              (performance.now() - started) / 1000,
              Math.max(...all.map((each) => each.seconds)),
            ),
            cpu: all.reduce((sum, each) => sum + each.cpu, 0),
            memory: Math.max(...all.map((each) => each.memory)),
            bytes: SIZES[2] * CLIENTS,
            ...(failed === undefined ? {} : { failed }),
          };
        },
      },
      {
        id: 'loss',
        label: 'two servers, one killed half way',
        command: commandFor(contentOf(2)),
        ours: true,
        rows: ['fleet-loss'],
        run: async (round): Promise<Sample> => {
          const meanwhile = { after: LOSS, act: () => fleet.kill(1) };
          const measured = await get(contentOf(2), 0, { meanwhile });
          fleet.revive(1);
          await fleet.holds(contentOf(2).name, 2);
          return { round, bytes: SIZES[2], ...measured };
        },
      },
    ];
    return {
      facts: { goodput, bytes1: SIZES[1], bytes2: SIZES[2], bytes4: SIZES[4] },
      notes: [
        'Goodput: what curl gets from one host by itself. All hosts are alike.',
        `The ideal time after a loss: both hosts send for ${LOSS} s, then the one that is left.`,
      ],
      contestants,
      bars: bars(goodput),
      [Symbol.asyncDispose]: () => resources.disposeAsync(),
    };
  } catch (error) {
    await resources.disposeAsync();
    throw error;
  }
}

function commandFor({ name }: Content): string {
  const job = { urls: [], output: 'FILE' };
  return shown(headwater('get', name, '-o', 'FILE', '-q'), job, { [name]: 'NAME' });
}

/** Bytes a second of one host, the better of two attempts. */
async function goodputOf(fleet: HeadwaterFleet, name: string): Promise<number> {
  const { token, sources } = await fleet.grant(name);
  const url = `${sources[0]?.url}?token=${token}`;
  const attempt = async (): Promise<number> => {
    const last = GOODPUT_BYTES - 1;
    const { stdout } = await run([
      'curl',
      '-q',
      '-s',
      '-f',
      '-r',
      `0-${last}`,
      '-o',
      '/dev/null',
      '-w',
      '%{speed_download}',
      url,
    ]);
    return Number(stdout);
  };
  return Math.max(await attempt(), await attempt());
}

function bars(goodput: number): Bar[] {
  const growth = (id: string, hosts: Hosts): Bar => ({
    row: 'fleet-growth',
    work: `a fleet's ${hosts === 1 ? 'server' : `${hosts} servers`} of 100 Mbit/s${hosts === 1 ? '' : ' each'}, one client`,
    text: hosts === 1 ? "the server's goodput" : "the servers' summed goodput",
    demand: 'least',
    bound: 0.95,
    unit: 'x',
    value: (of) => of(id).bytes / of(id).seconds / (hosts * goodput),
  });
  const before = LOSS * 2 * goodput;
  const idealLoss = LOSS + (SIZES[2] - before) / goodput;
  return [
    growth('one', 1),
    growth('two', 2),
    growth('four', 4),
    {
      row: 'fleet-clients',
      work: `2 servers, ${CLIENTS} clients at once`,
      text: 'rate of all, against one client by itself',
      demand: 'least',
      bound: 0.97,
      unit: 'x',
      value: (of) => of('clients').bytes / of('clients').seconds / (of('two').bytes / of('two').seconds),
    },
    {
      row: 'fleet-loss',
      work: '2 servers, one killed half way',
      text: 'the ideal time',
      demand: 'most',
      bound: 1.1,
      unit: 'x',
      value: (of) => of('loss').seconds / idealLoss,
    },
  ];
}
