import type { DatabaseKind } from '../../src/database/database.ts';
import { FleetDatabase } from '../information-server/fleet-database.ts';
import type { LoadOrder, LoadRequest } from '../information-server/load.ts';
import { measureLoad } from '../information-server/measure-load.ts';
import { InformationServerProcess } from '../information-server/server.ts';
import { playServers } from '../information-server/servers.ts';
import type { Sample } from '../results.ts';
import type { Bar, BenchContext, Contestant, OpenScene, Scene } from '../scene.ts';

const FILES = 1_000_000;
const QUICK_FILES = 50_000;
const SERVERS = 2_000;
const SECONDS = 20;
const QUICK_SECONDS = 3;
/** Pages a second: people look, they do not hammer. */
const RATE = 20;
/** New files that one server announces, with their manifests, while all send heartbeats. */
const ANNOUNCED = 20_000;
const QUICK_ANNOUNCED = 2_000;
/** Milliseconds after which a server that is not heard of is suspected: no heartbeat may take so long. */
const SUSPECT_AFTER = 10_000;
/** Different requests of a run. */
const REQUESTS = 400;
const MEGABYTE = 1e6;
const LABELS: Readonly<Record<DatabaseKind, string>> = { sqlite: 'SQLite', postgresql: 'PostgreSQL' };

export const catalogue: Scene = {
  id: 'catalogue',
  title: 'Lists and searches among 1,000,000 files of 2,000 servers',
  rows: ['catalogue'],
  tools: [],
  needsRoot: false,
  open,
};

async function open(context: BenchContext): Promise<OpenScene> {
  const resources = new AsyncDisposableStack();
  const kinds: DatabaseKind[] = (await FleetDatabase.hasPostgres()) ? ['sqlite', 'postgresql'] : ['sqlite'];
  try {
    const contestants: Contestant[] = [];
    for (const kind of kinds) contestants.push(...(await contestantsOn(kind, context, resources)));
    return {
      facts: { files: context.quick ? QUICK_FILES : FILES, servers: SERVERS },
      notes: [
        `GET files, 100 entries a page, in every order, ${RATE} a second: without a search and with searches of one character and more, rare, common and found nowhere. Memory is the most that the server had.`,
        `With file servers at work: all ${SERVERS} send a heartbeat every 2 s, and one announces ${context.quick ? QUICK_ANNOUNCED : ANNOUNCED} more files with their manifests; requests and p99 are those of the heartbeats.`,
        ...(kinds.includes('postgresql') ? [] : ['Without PostgreSQL: there is none.']),
      ],
      contestants,
      bars: kinds.flatMap(barsOn),
      [Symbol.asyncDispose]: () => resources.disposeAsync(),
    };
  } catch (error) {
    await resources.disposeAsync();
    throw error;
  }
}

async function contestantsOn(
  kind: DatabaseKind,
  context: BenchContext,
  resources: AsyncDisposableStack,
): Promise<Contestant[]> {
  const database = resources.use(await FleetDatabase.make(kind, context.workspace));
  context.say(`  filling ${LABELS[kind]}`);
  const servers = await database.addServers(SERVERS);
  await database.addFiles(context.quick ? QUICK_FILES : FILES, servers, 1, false);
  const order: LoadOrder = {
    origin: '',
    tokens: await database.addUsers(10),
    requests: Array.from({ length: REQUESTS }, (_, at) => page(at)),
    connections: 8,
    seconds: context.quick ? QUICK_SECONDS : SECONDS,
    rate: RATE,
  };
  const contestant = (id: string, more: string, run: Contestant['run']): Contestant => ({
    id,
    label: `headwater information-server, ${LABELS[kind]}${more}`,
    command: 'headwater information-server',
    ours: true,
    rows: ['catalogue'],
    run,
  });
  return [
    contestant(kind, '', (round) => measureLoad(context, database, order, round)),
    contestant(`${kind}-servers`, ', file servers at work', (round) => withServers(context, database, round)),
  ];
}

/** Figures of an information server that 2,000 file servers talk to. */
async function withServers(
  { workspace, signal, quick }: BenchContext,
  database: FleetDatabase,
  round: number,
): Promise<Sample> {
  using _ = database.quiet();
  await using server = await InformationServerProcess.start(workspace, {
    env: { HEADWATER_DATABASE_URL: database.where },
  });
  const { servers } = database;
  const files = quick ? QUICK_ANNOUNCED : ANNOUNCED;
  const seconds = quick ? QUICK_SECONDS : SECONDS;
  const order = { origin: server.url, servers, files, seconds };
  const began = performance.now();
  const { heartbeats, failed, firstFailure, p99, most } = await playServers(order, signal);
  const sample = {
    round,
    seconds: (performance.now() - began) / 1000,
    cpu: server.cpu,
    memory: server.memory,
    bytes: Number.NaN,
    requests: heartbeats,
    p99,
  };
  if (failed > 0) return { ...sample, failed: `${failed} heartbeats failed: ${firstFailure}` };
  if (most <= SUSPECT_AFTER) return sample;
  return {
    ...sample,
    failed: `a heartbeat took ${(most / 1000).toFixed(1)} s: its server could be suspected`,
  };
}

const SORTS = ['name', '-name', 'size', '-size', 'createdAt', '-createdAt'];
const COMMON = [
  'report',
  'photo',
  'backups',
  '.tar.gz',
  'mp4',
  '2014',
  'project',
  's/20',
  'e',
  '7',
  '-1',
  'ar',
];
const NOWHERE = ['no such thing', 'q~', 'ß', '日本'];

/** One of five is a plain page; the searches are for common words, for one project, for a number and for nothing. */
function page(at: number): LoadRequest {
  const chance = (at * 7_919) % 1_000_003;
  const searches = [
    undefined,
    COMMON[chance % COMMON.length],
    `project-${chance % 5_000}/`,
    String(chance),
    (chance % 46_656).toString(36).padStart(3, '0'),
    NOWHERE[chance % NOWHERE.length],
  ];
  const search = searches[at % searches.length];
  const query = new URLSearchParams({
    sort: SORTS[chance % SORTS.length] ?? 'name',
    ...(search !== undefined && { search }),
  });
  return { method: 'GET', path: `/v1/files?${query.toString()}` };
}

function barsOn(kind: DatabaseKind): Bar[] {
  const work = { row: 'catalogue', work: `list or search among 1,000,000 files, ${LABELS[kind]}` } as const;
  return [
    {
      ...work,
      text: 'p99 of a page',
      demand: 'most',
      bound: 30,
      unit: 'ms',
      value: (of) => of(kind).p99 ?? Number.NaN,
    },
    {
      ...work,
      text: 'resident memory, with 2,000 servers at work',
      demand: 'most',
      bound: 300,
      unit: 'MB',
      value: (of) => Math.max(of(kind).memory, of(`${kind}-servers`).memory) / MEGABYTE,
    },
  ];
}
