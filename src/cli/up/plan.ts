import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

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
  const ports = new Ports(address);
  const notes: string[] = [];
  const zones = request.zones ?? zonesOf(before) ?? ZONES;
  const count = request.servers ?? before?.servers.length ?? SERVERS;
  const informationCount =
    request.informationServers ?? before?.informationServers.length ?? INFORMATION_SERVERS;

  const keep = async (what: string, port: number | undefined, from: number): Promise<number> => {
    const kept = port === undefined ? undefined : await ports.ifFree(port);
    if (kept !== undefined) return kept;
    const found = await ports.from(from);
    if (port !== undefined)
      notes.push(`${what} had port ${port}, which is taken by something else now: it has ${found}`);
    return found;
  };

  const named = request.port !== undefined && request.port > 0 ? request.port : undefined;
  // Any free one goes for all of them.
  const base = named ?? (request.port === 0 ? 0 : UP_PORT);
  const informationServers: UpPlan['informationServers'][number][] = [];
  for (let at = 0; at < informationCount; at++) {
    const name = `information-server-${at + 1}`;
    const last = informationServers.at(-1)?.port ?? base;
    const port =
      at === 0 && named !== undefined
        ? await ports.exactly(named)
        : await keep(name, before?.informationServers[at]?.port, base === 0 ? 0 : last);
    informationServers.push({ name, port, url: urlOf(address, port) });
  }
  const servers: PlannedServer[] = [];
  for (let at = 0; at < count; at++) {
    const known = before?.servers[at];
    const name = known?.name ?? `server-${at + 1}`;
    const zone = (request.zones === undefined ? known?.zone : undefined) ?? zones[at % zones.length] ?? 'a';
    const last = servers.at(-1)?.port ?? informationServers.at(-1)?.port ?? base;
    servers.push({ name, zone, port: await keep(name, known?.port, base === 0 ? 0 : last) });
  }
  const own = join(data, 'files');
  const folders = request.folders ?? before?.folders ?? [own];
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
    notes,
  };
}

/** What the next start is to find. */
export function stateOf(plan: UpPlan, running: readonly number[]): UpState {
  const { address, servers, informationServers, folders, limit } = plan;
  return {
    address,
    servers: servers.map(({ name, zone, port }) => ({ name, zone, port })),
    informationServers: informationServers.map(({ port }) => ({ port })),
    folders,
    ...(limit !== undefined && { limit }),
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
