import { Writable } from 'node:stream';

import { HeadwaterError } from '../core/errors.ts';
import { isSha256, parseManifest, type Manifest } from '../core/manifest.ts';
import { MOST_CONNECTIONS } from '../core/scheduler/scheduler.ts';
import { givenSources, headerFields, type GivenSource } from './given-sources.ts';
import type { BadChunk, SourceFeed, SourceSpec } from './live-sources.ts';
import type { DownloadEvent, DownloadOptions } from './types.ts';

/**
 * Bytes of file content held in memory at once when the caller names no number. A file takes bytes in any order as soon
 * as they come: more was never faster. In a stream they wait for their turn: the more fit, the less one slow source
 * holds up the others.
 */
const MEMORY = { file: 24 * 1024 * 1024, stream: 64 * 1024 * 1024 };
/** Less could not hold two chunks' worth of reading and writing. */
const LEAST_MEMORY = 8 * 1024 * 1024;
/** More connections to one server are rude, and were never seen to help. */
const CEILING_CONNECTIONS = 64;
/** Seconds without a first byte after which a download gives up. */
const FIRST_BYTE_TIMEOUT = 60;
/** Seconds between progress events unless told otherwise: as often as a line of text is still read. */
const INTERVAL = 1;
/** Least seconds between progress events: more than 50 a second no screen shows. */
const LEAST_INTERVAL = 0.02;
/** Less would never fill one read. */
const LEAST_LIMIT = 1024;

/** Options as the engine uses them: complete and checked. */
export interface Settings {
  readonly sources: readonly GivenSource[];
  readonly feed: SourceFeed | undefined;
  readonly output: string | Writable | undefined;
  readonly name: string | undefined;
  readonly sha256: string | undefined;
  readonly manifest: string | URL | Manifest | undefined;
  readonly mostConnections: number;
  /** The caller named the number of connections. */
  readonly fixedConnections: boolean;
  readonly limit: number | undefined;
  /** Seconds; before the first byte, and after it. */
  readonly timeout: { readonly first: number; readonly later: number };
  readonly headers: () => Readonly<Record<string, string>>;
  readonly refresh: (() => Promise<boolean>) | undefined;
  readonly onBadChunk: ((bad: BadChunk) => void) | undefined;
  readonly tls: {
    readonly ca?: string;
    readonly cert?: string;
    readonly key?: string;
    readonly insecure?: boolean;
  };
  readonly proxy: boolean;
  readonly resume: boolean;
  readonly force: boolean;
  readonly memory: number;
  readonly interval: number;
  readonly signal: AbortSignal | undefined;
  readonly onEvent: (event: DownloadEvent) => void;
}

const KNOWN: Readonly<Record<keyof DownloadOptions, true>> = {
  output: true,
  name: true,
  sha256: true,
  manifest: true,
  connections: true,
  limit: true,
  timeout: true,
  headers: true,
  feed: true,
  refresh: true,
  onBadChunk: true,
  tls: true,
  proxy: true,
  resume: true,
  force: true,
  memory: true,
  interval: true,
  signal: true,
  onEvent: true,
};

/**
 * Turns what a caller said into settings.
 *
 * @throws HeadwaterError `HW_USAGE` naming the option and what it takes
 */
export function normalize(
  sources: readonly (string | URL | SourceSpec)[],
  options: DownloadOptions,
): Settings {
  for (const key of Object.keys(options))
    if (!Object.hasOwn(KNOWN, key)) usage(`there is no option "${key}"`);
  checkKinds(options);
  const { connections } = options;
  const mostConnections = wholeNumber('connections', connections ?? MOST_CONNECTIONS, 1, CEILING_CONNECTIONS);
  if (options.limit !== undefined) number('limit', options.limit, LEAST_LIMIT, Infinity);
  if (options.timeout !== undefined) number('timeout', options.timeout, 0.1, Infinity);
  const sha256 = options.sha256?.toLowerCase();
  if (sha256 !== undefined && !isSha256(sha256)) usage('sha256 takes 64 hexadecimal digits');
  const { output } = options;
  if (output !== undefined && typeof output !== 'string' && !(output instanceof Writable)) {
    usage('output takes a path or a writable stream');
  }
  if (output === '') usage('output takes a path that is not empty');
  const headers = headerFields(options.headers);
  const manifest = givenManifest(options.manifest, sha256);
  if (sources.length === 0 && options.feed === undefined) usage('at least one source is needed');
  return {
    sources: givenSources(sources, { manifest, headers }),
    feed: options.feed,
    output,
    name: options.name,
    sha256,
    manifest,
    mostConnections,
    fixedConnections: connections !== undefined,
    limit: options.limit === Infinity ? undefined : options.limit,
    timeout: { first: options.timeout ?? FIRST_BYTE_TIMEOUT, later: options.timeout ?? Infinity },
    headers,
    refresh: options.refresh,
    onBadChunk: options.onBadChunk,
    tls: options.tls ?? {},
    proxy: options.proxy ?? true,
    resume: options.resume ?? true,
    force: options.force ?? false,
    memory: number(
      'memory',
      options.memory ?? MEMORY[output instanceof Writable ? 'stream' : 'file'],
      LEAST_MEMORY,
      Number.MAX_SAFE_INTEGER,
    ),
    interval: number('interval', options.interval ?? INTERVAL, LEAST_INTERVAL, 86_400),
    signal: options.signal,
    onEvent: options.onEvent ?? (() => {}),
  };
}

/** For callers without a compiler that would tell them. */
function checkKinds(options: DownloadOptions): void {
  const { sha256, name, tls, proxy, resume, force, signal, feed, refresh, onBadChunk, onEvent } = options;
  if (sha256 !== undefined && typeof sha256 !== 'string') usage('sha256 takes 64 hexadecimal digits');
  if (name !== undefined && (typeof name !== 'string' || /^\.{0,2}$|[/\\\0]/.test(name)))
    usage('name takes a file name without folders');
  if (tls !== undefined && !isRecord(tls)) usage('tls takes an object with ca, cert, key and insecure');
  for (const key of Object.keys(tls ?? {}))
    if (!['ca', 'cert', 'key', 'insecure'].includes(key)) usage(`tls has no option "${key}"`);
  for (const [name, value] of Object.entries({ proxy, resume, force }))
    if (value !== undefined && typeof value !== 'boolean') usage(`${name} takes true or false`);
  if (signal !== undefined && !(signal instanceof AbortSignal)) usage('signal takes an AbortSignal');
  for (const [option, value] of Object.entries({ feed, refresh, onBadChunk, onEvent }))
    if (value !== undefined && typeof value !== 'function') usage(`${option} takes a function`);
}

function isRecord(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function usage(message: string): never {
  throw new HeadwaterError('HW_USAGE', message);
}

function number(name: string, value: number, least: number, most: number): number {
  if (typeof value === 'number' && value >= least && value <= most) return value;
  const upTo = most === Infinity ? ' or more' : ` to ${most}`;
  return usage(`${name} takes a number, ${least}${upTo}, not ${JSON.stringify(value)}`);
}

function wholeNumber(name: string, value: number, least: number, most: number): number {
  if (Number.isInteger(value)) return number(name, value, least, most);
  return usage(`${name} takes a whole number, ${least} to ${most}, not ${JSON.stringify(value)}`);
}

function givenManifest(
  manifest: DownloadOptions['manifest'],
  sha256: string | undefined,
): Settings['manifest'] {
  if (manifest === undefined || typeof manifest === 'string' || manifest instanceof URL) return manifest;
  // A manifest that lists too few digests would let the other chunks pass unseen.
  const checked = parseManifest(JSON.stringify(manifest), 'the options');
  if (sha256 !== undefined && checked.sha256 !== sha256) {
    throw new HeadwaterError('HW_MANIFEST_INVALID', 'the manifest is of another file than the sha256 given');
  }
  return checked;
}
