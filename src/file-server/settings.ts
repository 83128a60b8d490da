import { realpath, stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { createSecureContext } from 'node:tls';

import { HeadwaterError } from '../core/errors.ts';
import type { Root } from './find-files.ts';
import { END_GRACE, FIRST_PORT, MOST_SERVERS } from './limits.ts';
import type { WantedPort } from './listen.ts';
import { SILENT, type Log } from './log.ts';
import { isServedSegment } from './request-name.ts';
import type { ControlOptions, ServeEvent, ServeOptions } from './serve-types.ts';

/** Options of serving, complete and checked. */
export interface ServeSettings {
  readonly ports: readonly WantedPort[];
  readonly address: string | undefined;
  /** Bytes a second. */
  readonly limit: number | undefined;
  readonly tls: { readonly cert: string; readonly key: string } | undefined;
  /** Milliseconds. */
  readonly interval: number;
  /** Seconds. */
  readonly grace: number;
  /** Undefined: the default folder; false: none. */
  readonly cache: string | false | undefined;
  readonly control: ControlOptions | undefined;
  readonly log: Log;
  readonly signal: AbortSignal | undefined;
  readonly onEvent: ((event: ServeEvent) => void) | undefined;
}

const KEYS = new Set([
  'count',
  'ports',
  'address',
  'limit',
  'tls',
  'interval',
  'grace',
  'cache',
  'control',
  'log',
  'signal',
  'onEvent',
] satisfies (keyof ServeOptions)[]) as ReadonlySet<string>;

/** @throws HeadwaterError `HW_USAGE`, naming the option and what it takes */
export function normaliseServeOptions(options: ServeOptions): ServeSettings {
  for (const key of Object.keys(options)) if (!KEYS.has(key)) throw usage(`unknown option "${key}"`);
  const {
    address,
    limit,
    tls,
    cache,
    control,
    log,
    signal,
    onEvent,
    interval = 1,
    grace = END_GRACE / 1000,
  } = options;
  if (limit !== undefined) atLeast('limit', limit, 1, 'bytes a second');
  atLeast('interval', interval, 0.05, 'seconds');
  if (!(grace >= 0)) throw usage(`grace takes seconds, 0 or more, not ${grace}`);
  if (address === '') throw usage('address takes an IP address or host name of this machine');
  if (control !== undefined) {
    checkPort('control', control.port);
    if (control.token === '') throw usage('control takes a token that is not empty, or none');
  }
  if (tls !== undefined) checkTls(tls);
  return {
    ports: wantedPorts(options.count, options.ports),
    address,
    limit,
    tls,
    interval: interval * 1000,
    grace,
    cache,
    control,
    log: log ?? SILENT,
    signal,
    onEvent,
  };
}

/**
 * What the paths given to be served stand for.
 *
 * @throws HeadwaterError `HW_USAGE` (missing, hidden, neither file nor folder, two of one name)
 */
export async function findRoots(paths: readonly string[]): Promise<readonly Root[]> {
  if (paths.length === 0) throw usage('name at least one file or folder to serve');
  const roots: Root[] = [];
  const names = new Map<string, string>();
  for (const given of paths) {
    const path = resolve(given);
    const kind = await kindOf(path, given);
    if (kind === 'folder') {
      roots.push({ kind, path: await realpath(path) });
      continue;
    }
    const name = basename(path);
    if (!isServedSegment(name)) throw usage(`${given} is hidden or has a name that cannot be served`);
    const other = names.get(name);
    if (other !== undefined) throw usage(`${other} and ${given} would have the same name, ${name}`);
    names.set(name, given);
    roots.push({ kind, path, name });
  }
  return roots;
}

async function kindOf(path: string, given: string): Promise<'file' | 'folder'> {
  try {
    const stats = await stat(path);
    if (stats.isFile()) return 'file';
    if (stats.isDirectory()) return 'folder';
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    throw usage(code === 'ENOENT' ? `there is no ${given}` : `cannot serve ${given}: ${message}`, cause);
  }
  throw usage(`${given} is neither a file nor a folder`);
}

function wantedPorts(count: number | undefined, ports: readonly number[] = []): WantedPort[] {
  const servers = count ?? Math.max(1, ports.length);
  if (!Number.isInteger(servers) || servers < 1 || servers > MOST_SERVERS) {
    throw usage(`count takes a whole number from 1 to ${MOST_SERVERS}, not ${servers}`);
  }
  if (servers < ports.length) throw usage(`${ports.length} ports were given for ${servers} servers`);
  for (const port of ports) checkPort('ports', port);
  const twice = ports.find((port, index) => port !== 0 && ports.indexOf(port) !== index);
  if (twice !== undefined) throw usage(`port ${twice} was given twice`);
  const wanted: WantedPort[] = ports.map((port) => ({ port, exact: true }));
  const last = ports.at(-1);
  const first = last === undefined ? FIRST_PORT : last + 1;
  for (let index = 0; wanted.length < servers; index++) {
    const port = last === 0 ? 0 : first + index;
    checkPort('ports', port);
    wanted.push({ port, exact: false });
  }
  return wanted;
}

function checkPort(option: string, port: number): void {
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw usage(`${option} takes port numbers from 0 to 65535, not ${port}`);
  }
}

function checkTls(tls: { readonly cert: string; readonly key: string }): void {
  try {
    createSecureContext({ cert: tls.cert, key: tls.key });
  } catch (cause) {
    throw usage(`the TLS certificate and key cannot be used: ${(cause as Error).message}`, cause);
  }
}

function atLeast(option: string, value: number, least: number, unit: string): void {
  if (!(value >= least)) throw usage(`${option} takes ${unit}, at least ${least}, not ${value}`);
}

function usage(message: string, cause?: unknown): HeadwaterError {
  return new HeadwaterError('HW_USAGE', message, { cause });
}
