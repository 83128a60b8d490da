import { createSecureContext } from 'node:tls';

import * as z from 'zod';

import { HeadwaterError } from '../core/errors.ts';
import { END_GRACE, FIRST_PORT, LEAST_STATUS_INTERVAL, MOST_SECONDS, MOST_SERVERS } from './limits.ts';
import type { WantedPort } from './listen.ts';
import { SILENT, type Log } from './log.ts';
import type { ServeEvent, ServeOptions } from './serve-types.ts';

const port = wholeNumber('a port number', 0, 65_535);

/** What a caller may say. */
const OPTIONS = z.strictObject({
  count: wholeNumber('a whole number', 1, MOST_SERVERS).optional(),
  ports: z.array(port, takes('a list of port numbers')).default([]),
  address: text('an IP address or host name of this machine').optional(),
  limit: number('bytes a second', 1).optional(),
  tls: z
    .strictObject({ cert: text('a PEM text'), key: text('a PEM text') }, takes('a certificate and a key'))
    .optional(),
  interval: number('seconds', LEAST_STATUS_INTERVAL, MOST_SECONDS)
    .default(1)
    .transform((seconds) => seconds * 1000),
  grace: number('seconds', 0, MOST_SECONDS).default(END_GRACE / 1000),
  cache: z.union([z.literal(false), z.string().min(1)], takes('a folder, or false')).optional(),
  control: z
    .strictObject({ port, token: text('a token that is not empty').exactOptional() }, takes('a port'))
    .optional(),
  log: z
    .custom<Log>((value) => typeof value === 'object' && value !== null, takes('a logger'))
    .default(SILENT),
  signal: z.instanceof(AbortSignal, takes('an AbortSignal')).optional(),
  onEvent: z
    .custom<(event: ServeEvent) => void>((value) => typeof value === 'function', takes('a function'))
    .optional(),
} satisfies Record<keyof ServeOptions, z.ZodType>);

type Checked = z.output<typeof OPTIONS>;

/** Options of serving, complete and checked; the interval in milliseconds. */
export interface ServeSettings extends Omit<Checked, 'count' | 'ports'> {
  readonly ports: readonly WantedPort[];
}

/** @throws HeadwaterError `HW_USAGE`, naming the option and what it takes */
export function normaliseServeOptions(options: ServeOptions): ServeSettings {
  const { success, data, error } = OPTIONS.safeParse(options);
  if (!success) throw usage(told(error.issues[0]), error);
  const { count, ports, ...others } = data;
  if (others.tls !== undefined) checkTls(others.tls);
  return { ...others, ports: wantedPorts(count, ports) };
}

function wantedPorts(count: number | undefined, ports: readonly number[]): WantedPort[] {
  const servers = count ?? Math.max(1, ports.length);
  if (servers > MOST_SERVERS) throw usage(`ports takes at most ${MOST_SERVERS} port numbers`);
  if (servers < ports.length) throw usage(`${ports.length} ports were given for ${servers} servers`);
  const twice = ports.find((each, index) => each !== 0 && ports.indexOf(each) !== index);
  if (twice !== undefined) throw usage(`port ${twice} was given twice`);
  const wanted: WantedPort[] = ports.map((each) => ({ port: each, exact: true }));
  const last = ports.at(-1);
  const first = last === undefined ? FIRST_PORT : last + 1;
  for (let index = 0; wanted.length < servers; index++) {
    const next = last === 0 ? 0 : first + index;
    if (!port.safeParse(next).success) throw usage(`no ports are left above ${last} for ${servers} servers`);
    wanted.push({ port: next, exact: false });
  }
  return wanted;
}

function checkTls(tls: { readonly cert: string; readonly key: string }): void {
  try {
    createSecureContext(tls);
  } catch (cause) {
    throw usage(`the TLS certificate and key cannot be used: ${(cause as Error).message}`, cause);
  }
}

function number(what: string, least: number, most = Infinity) {
  const wrong = takes(`${what}, ${least}${most === Infinity ? ' or more' : ` to ${most}`}`);
  return z.number(wrong).min(least, wrong).max(most, wrong);
}

function wholeNumber(what: string, least: number, most: number) {
  return number(what, least, most).int(takes(`${what}, ${least} to ${most}`));
}

function text(what: string) {
  return z.string(takes(what)).min(1, takes(what));
}

/** What is wrong, whatever it is; only numbers are shown, for texts can be secrets. */
function takes(what: string) {
  return {
    error: ({ input }: { readonly input?: unknown }) =>
      `takes ${what}${typeof input === 'number' ? `, not ${input}` : ''}`,
  };
}

function told(issue: z.core.$ZodIssue | undefined): string {
  const option = issue?.path.join('.') ?? '';
  if (issue?.code !== 'unrecognized_keys') return `${option} ${issue?.message}`;
  return `unknown option "${[...issue.path, issue.keys[0]].join('.')}"`;
}

function usage(message: string, cause?: unknown): HeadwaterError {
  return new HeadwaterError('HW_USAGE', message, { cause });
}
