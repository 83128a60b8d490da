import { mkdir } from 'node:fs/promises';
import { isAbsolute, join, relative, sep } from 'node:path';

import { HeadwaterError } from '../../core/errors.ts';
import { Ports, UP_PORT } from './ports.ts';
import type { UpRequest } from './up-request.ts';
import type { UpState } from './up-state.ts';

/** When nothing is said: enough to see a download go on when one is lost. */
const SERVERS = 3;
const INFORMATION_SERVERS = 1;
const ZONES = ['a', 'b'];
const ADDRESS = '127.0.0.1';

/** What `up` is to run. */
export interface UpPlan {
  readonly data: string;
  readonly address: string;
  readonly servers: readonly PlannedServer[];
  readonly informationServers: readonly {
    readonly name: string;
    readonly port: number;
    readonly url: string;
  }[];
  /** Absolute paths. */
  readonly folders: readonly string[];
  /** The folder is its own, made for it: nobody named one. */
  readonly ownFolder: boolean;
  /** Bytes a second of each server. */
  readonly limit: number | undefined;
  /** Copies of each chunk that is published, where the fleet's default does not count. */
  readonly replicas: number | undefined;
  /** Sentences about what is not as it was the last time. */
  readonly notes: readonly string[];
}

export interface PlannedServer {
  readonly name: string;
  readonly zone: string;
  readonly port: number;
}

/**
 * What is to run: what was said now, else what ran the last time, else the defaults. Ports stay where they are free.
 *
 * @throws HeadwaterError `HW_LISTEN`, `HW_DISK`
 */
export async function planOf(request: UpRequest, before: UpState | undefined): Promise<UpPlan> {
  const { data } = request;
  const address = request.address ?? before?.address ?? ADDRESS;
  const zones = request.zones ?? zonesOf(before) ?? ZONES;
  const count = request.servers ?? before?.servers.length ?? SERVERS;
  const informationCount =
    request.informationServers ?? before?.informationServers.length ?? INFORMATION_SERVERS;

  const first = request.port === 0 ? undefined : request.port;
  const informationNames = numbered('information-server', informationCount);
  const serverNames = numbered('server', count);
  const { chosen, notes } = await portsOf(
    [
      ...informationNames.map((name, at) => ({
        name,
        exactly: at === 0 ? first : undefined,
        had: before?.informationServers[at]?.port,
      })),
      ...serverNames.map((name, at) => ({ name, had: before?.servers[at]?.port })),
    ],
    request.port ?? UP_PORT,
    new Ports(address),
  );
  const informationServers = informationNames.map((name, at) => {
    const port = chosen[at] ?? 0;
    return { name, port, url: urlOf(address, port) };
  });
  const servers = serverNames.map((name, at): PlannedServer => {
    const known = request.zones === undefined ? before?.servers[at]?.zone : undefined;
    const zone = known ?? zones[at % zones.length] ?? 'a';
    return { name, zone, port: chosen[informationCount + at] ?? 0 };
  });
  const own = join(data, 'files');
  const folders = request.folders ?? before?.folders ?? [own];
  for (const folder of folders) refuseInside(folder, data);
  const ownFolder = folders.length === 1 && folders[0] === own;
  if (ownFolder) await makeFolder(own);
  const limit = request.limit ?? before?.limit;
  return {
    data,
    address,
    servers,
    informationServers,
    folders,
    ownFolder,
    limit: limit === Infinity ? undefined : limit,
    replicas: request.replicas ?? before?.replicas,
    notes,
  };
}

/**
 * What is in the data folder is secret: tokens, accounts, keys. Hidden folders are not served, so one there does no harm.
 *
 * @throws HeadwaterError `HW_USAGE`
 */
function refuseInside(folder: string, data: string): void {
  const path = relative(folder, data);
  const parts = path.split(sep);
  if (parts[0] === '..' || isAbsolute(path) || (path !== '' && parts.some((part) => part.startsWith('.'))))
    return;
  throw new HeadwaterError(
    'HW_USAGE',
    `--folder ${folder} would hand out the fleet's own data in ${data}: --data takes a folder elsewhere`,
  );
}

interface PortWanted {
  readonly name: string;
  /** It was told to have this one. */
  readonly exactly?: number | undefined;
  /** It had this one the last time. */
  readonly had: number | undefined;
}

/**
 * A port for each, and what is to be said of it. Whoever had one has it before somebody new takes it.
 *
 * @param from ports that nobody had are taken from here up; 0: any free one
 * @throws HeadwaterError `HW_LISTEN`
 */
async function portsOf(
  wanted: readonly PortWanted[],
  from: number,
  ports: Ports,
): Promise<{ chosen: readonly number[]; notes: readonly string[] }> {
  const kept: (number | undefined)[] = [];
  for (const { exactly } of wanted)
    kept.push(exactly === undefined ? undefined : await ports.exactly(exactly));
  for (const [at, { had }] of wanted.entries()) {
    if (had !== undefined) kept[at] ??= await ports.ifFree(had);
  }
  const notes: string[] = [];
  const chosen: number[] = [];
  let last = from;
  for (const [at, { name, had, exactly }] of wanted.entries()) {
    const port = kept[at] ?? (await ports.from(last));
    chosen.push(port);
    if (from !== 0) last = port;
    if (had !== undefined && had !== port && exactly === undefined) {
      notes.push(`${name} had port ${had}, which is taken by something else now: it has ${port}`);
    }
  }
  return { chosen, notes };
}

function numbered(name: string, count: number): string[] {
  return Array.from({ length: count }, (_, at) => `${name}-${at + 1}`);
}

/** What the next start is to find. */
export function stateOf(plan: UpPlan, running: readonly number[]): UpState {
  const { address, servers, informationServers, folders, limit, replicas } = plan;
  return {
    address,
    servers: servers.map(({ name, zone, port }) => ({ name, zone, port })),
    informationServers: informationServers.map(({ port }) => ({ port })),
    folders,
    ...(limit !== undefined && { limit }),
    ...(replicas !== undefined && { replicas }),
    running,
  };
}

export function urlOf(address: string, port: number): string {
  return `http://${address.includes(':') ? `[${address}]` : address}:${port}`;
}

/** Readable and writable by its owner alone, like all that is in the data folder. */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new HeadwaterError('HW_DISK', `cannot make the folder ${path}: ${(cause as Error).message}`, {
      cause,
    });
  }
}

function zonesOf(before: UpState | undefined): readonly string[] | undefined {
  const zones = [...new Set(before?.servers.map(({ zone }) => zone))];
  return zones.length === 0 ? undefined : zones;
}
