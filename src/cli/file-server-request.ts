import { hostname } from 'node:os';
import { join } from 'node:path';

import { DEFAULT_COPY_RATE, DEFAULT_SCRUB_INTERVAL } from '../file-server/chunks/limits.ts';
import type { FleetServerOptions } from '../file-server/fleet/fleet-types.ts';
import { defaultDataFolder } from './data-folder.ts';
import { secretVariable } from './secret-variable.ts';
import type { LogLevel } from './serve-request.ts';
import { programVersion } from './version.ts';
import { readNamedFile, readTlsFiles, usage } from './usage.ts';

/** Longest time between two readings of a chunk, seconds: ten years, which is what "never" comes to. */
const MOST_SCRUB_INTERVAL = 315_360_000;

/** What commander hands over. */
export interface RawFileServerOptions {
  readonly folder?: readonly string[];
  readonly join?: readonly (readonly string[])[];
  readonly joinTokenFile?: string;
  readonly name?: string;
  readonly zone: string;
  readonly port?: number;
  readonly address?: string;
  readonly publicUrl?: string;
  readonly capacity?: number;
  readonly reserve?: number;
  readonly scrubInterval?: number;
  readonly copyRate?: number;
  readonly limit?: number;
  readonly data?: string;
  readonly interval: number;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly log?: LogLevel;
  readonly json?: true;
}

/** A checked command line and environment. */
export interface FileServerRequest {
  readonly server: Omit<FleetServerOptions, 'log' | 'signal' | 'onEvent'>;
  /** `amqp://…`, where events come from a broker. */
  readonly broker: string | undefined;
  readonly log: LogLevel | undefined;
  readonly print: 'lines' | 'json';
}

/**
 * Turns the arguments of `file-server` and its environment into options, and reads the files they name.
 *
 * @throws HeadwaterError `HW_USAGE`
 */
export function readFileServerRequest(
  raw: RawFileServerOptions,
  env: Readonly<Record<string, string | undefined>>,
): FileServerRequest {
  const { folder = [], zone, tlsCert, tlsKey } = raw;
  const servers = (raw.join ?? []).flat();
  if (servers.length === 0) {
    throw usage('--join takes the address of an information server, such as http://10.0.0.1:8400');
  }
  const tls = readTlsFiles(tlsCert, tlsKey);
  const name = raw.name ?? machineName();
  return {
    server: {
      folders: folder,
      join: servers,
      joinToken: joinToken(raw, env),
      name,
      zone,
      port: raw.port,
      address: raw.address,
      publicUrl: raw.publicUrl === undefined ? undefined : publicUrl(raw.publicUrl),
      chunks: {
        capacity: raw.capacity,
        reserve: raw.reserve,
        scrubInterval: scrubInterval(raw.scrubInterval),
        copyRate: raw.copyRate ?? DEFAULT_COPY_RATE,
      },
      limit: raw.limit,
      data: raw.data ?? join(defaultDataFolder(env), 'file-servers', name),
      cache: undefined,
      tls,
      version: programVersion(),
      interval: raw.interval * 1000,
    },
    broker: secretVariable(env, 'HEADWATER_BROKER_URL'),
    log: raw.log,
    print: raw.json === true ? 'json' : 'lines',
  };
}

function joinToken(
  { joinTokenFile }: RawFileServerOptions,
  env: Readonly<Record<string, string | undefined>>,
): string | undefined {
  if (joinTokenFile === undefined) return secretVariable(env, 'HEADWATER_JOIN_TOKEN');
  const token = readNamedFile('--join-token-file', joinTokenFile).trim();
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw usage(`--join-token-file takes a file with one token; ${JSON.stringify(joinTokenFile)} has none`);
}

/** Longer than what is told here makes no sense, and a number of milliseconds has to stay one. */
function scrubInterval(seconds = DEFAULT_SCRUB_INTERVAL): number {
  return Math.min(seconds, MOST_SCRUB_INTERVAL);
}

/** As a server may be named: letters, digits, ".", "_" and "-". */
function machineName(): string {
  const name = hostname()
    .replaceAll(/[^\w.-]/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '')
    .slice(0, 63);
  return name === '' ? 'file-server' : name;
}

function publicUrl(text: string): string {
  const url = URL.parse(text);
  const isPlain = url !== null && url.search === '' && url.hash === '' && url.username === '';
  if (isPlain && /^https?:$/.test(url.protocol)) return url.href.replace(/\/+$/, '');
  throw usage(
    `--public-url takes an http or https URL without query, such as https://a.example; not "${text}"`,
  );
}
