import { realpathSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';

import { HeadwaterError } from '../../core/errors.ts';
import { defaultDataFolder } from '../data-folder.ts';

/** What commander hands over. */
export interface RawUpOptions {
  readonly servers?: number;
  readonly zones?: readonly string[];
  readonly informationServers?: number;
  readonly folder?: readonly string[];
  readonly limit?: number;
  readonly replicas?: number;
  readonly data?: string;
  readonly port?: number;
  readonly address?: string;
  readonly interval: number;
  readonly json?: true;
}

/** A checked command line. What was not said is as it was the last time. */
export interface UpRequest {
  readonly servers: number | undefined;
  readonly zones: readonly string[] | undefined;
  readonly informationServers: number | undefined;
  /** Absolute paths. */
  readonly folders: readonly string[] | undefined;
  /** Bytes a second of each server; `Infinity`: none any more. */
  readonly limit: number | undefined;
  /** Copies of each chunk that is published. */
  readonly replicas: number | undefined;
  readonly data: string;
  readonly port: number | undefined;
  readonly address: string | undefined;
  /** Seconds between tables. */
  readonly interval: number;
  readonly print: 'table' | 'json';
}

/** @throws HeadwaterError `HW_USAGE` */
export function readUpRequest(
  raw: RawUpOptions,
  env: Readonly<Record<string, string | undefined>>,
): UpRequest {
  const { servers, zones, informationServers, folder, limit, replicas, data, port } = raw;
  const { address, interval, json } = raw;
  if (address === '0.0.0.0' || address === '::') {
    throw new HeadwaterError(
      'HW_USAGE',
      `--address takes an address that others reach this machine at, not ${address}: clients are sent there`,
    );
  }
  return {
    servers,
    zones,
    informationServers,
    folders: folder === undefined ? undefined : [...new Set(folder.map(folderAt))],
    limit,
    replicas,
    data: realOf(resolve(data ?? defaultDataFolder(env))),
    port,
    address,
    interval,
    print: json === true ? 'json' : 'table',
  };
}

/** Without symbolic links, as far as it is there already. */
function realOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    const parent = dirname(path);
    return parent === path ? path : join(realOf(parent), basename(path));
  }
}

function folderAt(path: string): string {
  try {
    if (statSync(path).isDirectory()) return realpathSync(path);
  } catch (cause) {
    throw new HeadwaterError('HW_USAGE', `--folder takes a folder; ${JSON.stringify(path)} is not there`, {
      cause,
    });
  }
  throw new HeadwaterError('HW_USAGE', `--folder takes a folder; ${JSON.stringify(path)} is none`);
}
