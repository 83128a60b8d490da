import { readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

import type { DownloadOptions } from '../client/types.ts';
import { sourceUrls } from './host-and-port.ts';
import type { HeaderField } from './option-kinds.ts';
import { reasonOf, usage } from './usage.ts';

/** What commander hands over. */
export interface RawGetOptions {
  readonly address?: readonly string[];
  readonly port?: readonly number[];
  readonly output?: string;
  readonly sha256?: string;
  readonly manifest?: string;
  readonly interval: number;
  readonly json?: true;
  readonly quiet?: true;
  readonly connections?: number;
  readonly limit?: number;
  readonly timeout?: number;
  readonly header?: readonly HeaderField[];
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly insecure?: true;
  readonly resume: boolean;
  readonly force?: true;
  readonly report?: string;
  readonly zone?: string;
}

/** A checked command line: nothing past this looks at raw arguments. */
export interface GetRequest {
  readonly sources: readonly string[];
  /** Name or id of a file of the fleet, instead of sources. */
  readonly file: string | undefined;
  /** Where the client is, for the fleet. */
  readonly zone: string | undefined;
  readonly download: Omit<DownloadOptions, 'output' | 'signal' | 'onEvent' | 'interval'>;
  /** A path, or "-" for standard output; undefined for the current folder. */
  readonly output: string | undefined;
  readonly print: 'progress' | 'json' | 'nothing';
  /** Seconds between reports where there is no terminal. */
  readonly interval: number;
  /** File for the final report. */
  readonly report: string | undefined;
}

/**
 * Turns the arguments of `get` into complete, checked values, and reads the files they name.
 *
 * @param inFleet whether somebody is logged in, so that a name without address is one of the fleet
 * @throws HeadwaterError `HW_USAGE`
 */
export function readGetRequest(
  words: readonly string[],
  raw: RawGetOptions,
  inFleet: () => boolean = () => false,
): GetRequest {
  if ((raw.cert === undefined) !== (raw.key === undefined)) {
    throw usage('--cert and --key take a file each, and only together');
  }
  if (raw.report !== undefined) checkFolder('--report', raw.report);
  const { address, port, output, interval, json, quiet, report, header, ca, cert, key, zone, ...rest } = raw;
  const file = address === undefined ? fileOfFleet(words, raw, inFleet) : undefined;
  if (file === undefined && zone !== undefined) {
    throw usage('--zone takes effect only with the NAME of a file of a fleet');
  }
  return {
    sources:
      file !== undefined ? [] : address === undefined ? urls(words, port) : named(words, address, port),
    file,
    zone,
    output,
    interval,
    report,
    print: json === true ? 'json' : quiet === true ? 'nothing' : 'progress',
    download: {
      ...given('sha256', rest.sha256),
      ...given('manifest', rest.manifest === undefined ? undefined : manifestFrom(rest.manifest)),
      ...given('connections', rest.connections),
      ...given('limit', rest.limit),
      ...given('timeout', rest.timeout),
      headers: joined(header ?? []),
      tls: {
        ...given('ca', pem('--ca', ca)),
        ...given('cert', pem('--cert', cert)),
        ...given('key', pem('--key', key)),
        insecure: rest.insecure === true,
      },
      resume: rest.resume,
      force: rest.force === true,
    },
  };
}

/** A property only where there is a value: absent and undefined are not the same to the library. */
function given<K extends string, V>(name: K, value: V | undefined): { [P in K]?: V } {
  const made: { [P in K]?: V } = {};
  if (value !== undefined) made[name] = value;
  return made;
}

/** The one word that is no URL, when somebody is logged in; undefined: there are sources. */
function fileOfFleet(
  words: readonly string[],
  { port, manifest, header }: RawGetOptions,
  inFleet: () => boolean,
): string | undefined {
  const names = words.filter((word) => !/^[a-z][a-z0-9+.-]*:\/\//i.test(word));
  const [name] = names;
  if (name === undefined || name === '' || port !== undefined || !inFleet()) return undefined;
  if (words.length > 1) {
    throw usage(
      `NAME takes one file of the fleet; there is "${hideUserinfo(words.find((each) => each !== name) ?? name)}" too`,
    );
  }
  // What the fleet says itself; what is sent to its servers is the grant.
  if (manifest !== undefined) throw usage('--manifest is for URLs: the fleet has the manifest of its files');
  if (header !== undefined) throw usage('--header is for URLs, not for a file of the fleet');
  return name;
}

function urls(words: readonly string[], port: readonly number[] | undefined): readonly string[] {
  if (port !== undefined) throw usage('--port needs --address HOST[,HOST...] beside it');
  if (words.length === 0) throw usage('SOURCE is missing: give URLs, or NAME with --address and --port');
  for (const word of words) {
    if (isHttpUrl(word)) continue;
    throw usage(
      `SOURCE takes a URL such as http://host/file (or a name, with --address, or when logged in to a fleet); not "${hideUserinfo(word)}"`,
    );
  }
  return [...new Set(words.map(withoutFragment))];
}

/** As the library reads it: what follows `#` never leaves the machine, and a source said twice is one. */
function withoutFragment(text: string): string {
  const url = new URL(text);
  url.hash = '';
  return url.href;
}

function named(
  words: readonly string[],
  hosts: readonly string[],
  ports: readonly number[] | undefined,
): readonly string[] {
  const [name, ...more] = words;
  if (name === undefined) throw usage('NAME is missing: --address and --port take one name of a file');
  if (more.length > 0) throw usage(`NAME takes one name with --address; there is "${more[0]}" too`);
  if (isHttpUrl(name)) throw usage(`NAME takes a file's name with --address, not a URL; not "${name}"`);
  return sourceUrls(name, hosts, ports);
}

function isHttpUrl(text: string): boolean {
  return /^https?:\/\//i.test(text) && URL.canParse(text);
}

function hideUserinfo(text: string): string {
  return text.replace(/\/\/[^/@]*@/, '//***@');
}

function manifestFrom(text: string): string | URL {
  return isHttpUrl(text) ? new URL(text) : text;
}

/** Repeated fields are one list (RFC 9110, section 5.3); cookies are joined their own way (RFC 6265). */
function joined(fields: readonly HeaderField[]): Record<string, string> {
  const headers = new Map<string, HeaderField>();
  for (const [name, value] of fields) {
    const key = name.toLowerCase();
    const before = headers.get(key);
    const glue = key === 'cookie' ? '; ' : ', ';
    headers.set(key, before === undefined ? [name, value] : [before[0], before[1] + glue + value]);
  }
  return Object.fromEntries(headers.values());
}

function pem(flag: string, path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw usage(
      `${flag} takes a PEM file; ${JSON.stringify(path)} cannot be read (${reasonOf(cause)})`,
      cause,
    );
  }
  if (text.includes('-----BEGIN ')) return text;
  throw usage(`${flag} takes a PEM file; ${JSON.stringify(path)} is none`);
}

/** A report that cannot be written is better known before the download than after it. */
function checkFolder(flag: string, path: string): void {
  const folder = dirname(resolve(path));
  const found = statSync(folder, { throwIfNoEntry: false });
  if (found?.isDirectory() !== true) {
    throw usage(`${flag} takes a file in a folder that is there; ${JSON.stringify(folder)} is none`);
  }
}
