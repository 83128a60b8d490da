import type { DatabaseKind } from '../../src/database/database.ts';
import { FleetDatabase } from '../information-server/fleet-database.ts';
import type { LoadOrder } from '../information-server/load.ts';
import { measureLoad } from '../information-server/measure-load.ts';
import type { Figures } from '../results.ts';
import type { Bar, BenchContext, Contestant, OpenScene, Scene } from '../scene.ts';

/** Seconds of one run. */
const SECONDS = 10;
const QUICK_SECONDS = 3;
const CONNECTIONS = 64;
const USERS = 100;
const FILES = 100;
const HOLDERS = 3;
/** Grants a second that are to be reached. */
const WANTED: Readonly<Record<DatabaseKind, number>> = { sqlite: 4_000, postgresql: 2_000 };
const LABELS: Readonly<Record<DatabaseKind, string>> = { sqlite: 'SQLite', postgresql: 'PostgreSQL' };

export const grants: Scene = {
  id: 'grants',
  title: 'Grants of one information server',
  rows: ['grants'],
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
      facts: { connections: CONNECTIONS, files: FILES, holders: HOLDERS },
      notes: [
        `POST files/:id/downloads by ${USERS} accounts for ${FILES} files of 100 MiB, manifest in the answer; the load comes from another process on the same cores.`,
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
  const tokens = await database.addUsers(USERS);
  const files = await database.addFiles(FILES, await database.addServers(HOLDERS), HOLDERS, true);
  const order: LoadOrder = {
    origin: '',
    tokens,
    requests: files.map((id) => ({
      method: 'POST',
      path: `/v1/files/${id}/downloads`,
      body: '{"zone":"zone-1"}',
    })),
    connections: CONNECTIONS,
    seconds: context.quick ? QUICK_SECONDS : SECONDS,
  };
  const half = WANTED[kind] / 2;
  const contestant = (id: string, label: string, more: Partial<LoadOrder>): Contestant => ({
    id: `${id}-${kind}`,
    label: `headwater information-server, ${LABELS[kind]}, ${label}`,
    command: 'headwater information-server',
    ours: true,
    rows: ['grants'],
    run: (round) => measureLoad(context, database, { ...order, ...more }, round),
  });
  return [
    contestant('most', 'as many as it gives', {}),
    contestant('half', `${half} a second`, { rate: half }),
  ];
}

function barsOn(kind: DatabaseKind): Bar[] {
  const work = { row: 'grants', work: `grants, one information server, ${LABELS[kind]}` } as const;
  return [
    {
      ...work,
      text: 'a second',
      demand: 'least',
      bound: WANTED[kind],
      unit: '/s',
      value: (of) => perSecond(of(`most-${kind}`)),
    },
    {
      ...work,
      text: 'p99 at half that load',
      demand: 'most',
      bound: 25,
      unit: 'ms',
      value: (of) => of(`half-${kind}`).p99 ?? Number.NaN,
    },
  ];
}

function perSecond({ requests = Number.NaN, seconds }: Figures): number {
  return requests / seconds;
}
