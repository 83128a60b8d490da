import { chmod, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { HeadwaterError } from '../../core/errors.ts';
import { configFolder } from './config-folder.ts';

type Environment = Readonly<Record<string, string | undefined>>;

const FILE = 'credentials.json';

/** What a login leaves. */
export interface Credentials {
  /** Addresses of information servers, the one that was logged in at first. */
  readonly addresses: readonly string[];
  readonly token: string;
  readonly email: string;
  /** ISO 8601. */
  readonly expiresAt: string;
  /** Authorities (PEM) that the fleet's certificates are trusted by. */
  readonly ca?: string;
}

/** Who calls which fleet. */
export interface Identity {
  readonly addresses: readonly string[];
  readonly token: string;
  readonly ca?: string;
}

export function credentialsPath(env: Environment): string {
  return join(configFolder(env), FILE);
}

/**
 * Who is logged in: HEADWATER_URL and HEADWATER_TOKEN, or what a login left. A token that was left is for the fleet that
 * gave it: with another HEADWATER_URL it is not sent.
 *
 * @throws HeadwaterError `HW_TOKEN_MISSING`, `HW_DISK`
 */
export async function identity(env: Environment, warn: (text: string) => void): Promise<Identity> {
  const url = given(env['HEADWATER_URL']);
  const token = given(env['HEADWATER_TOKEN']);
  if (url !== undefined && token !== undefined) return { addresses: [url], token };
  const left = await readCredentials(env, warn);
  if (left === undefined) {
    const missing =
      token !== undefined
        ? 'HEADWATER_TOKEN is set, and HEADWATER_URL, the address of its fleet, is not'
        : 'not logged in to a fleet: headwater login URL does that';
    throw new HeadwaterError('HW_TOKEN_MISSING', missing);
  }
  const { addresses, ca } = left;
  const same = url === undefined || addresses.some((each) => sameAddress(each, url));
  if (!same && token === undefined) {
    throw new HeadwaterError(
      'HW_TOKEN_MISSING',
      `HEADWATER_URL is ${url}, and who is logged in is so at ${addresses[0] ?? 'another fleet'}: headwater login ${url}`,
    );
  }
  return {
    addresses: same ? addresses : [url],
    token: token ?? left.token,
    ...(ca !== undefined && { ca }),
  };
}

/** Whether a fleet can be asked at all; reads nothing. */
export function looksLoggedIn(env: Environment, exists: (path: string) => boolean): boolean {
  return (
    (given(env['HEADWATER_URL']) !== undefined && given(env['HEADWATER_TOKEN']) !== undefined) ||
    exists(credentialsPath(env))
  );
}

/**
 * What a login left; undefined: nobody is logged in. A file that others can read is closed to them, and that is said.
 *
 * @throws HeadwaterError `HW_DISK`
 */
export async function readCredentials(
  env: Environment,
  warn: (text: string) => void,
): Promise<Credentials | undefined> {
  const path = credentialsPath(env);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
    const { mode } = await stat(path);
    if ((mode & 0o077) !== 0) {
      await chmod(path, 0o600);
      warn(
        `${path} could be read by others; now it cannot. If somebody may have: headwater logout ends its session`,
      );
    }
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new HeadwaterError('HW_DISK', `the credentials in ${path} cannot be read: ${message}`, { cause });
  }
  const found = parse(text);
  if (found === undefined) {
    throw new HeadwaterError('HW_DISK', `${path} holds no credentials; headwater login URL writes it anew`);
  }
  return found;
}

/**
 * Writes the file whole or not at all, for its owner alone.
 *
 * @throws HeadwaterError `HW_DISK`
 */
export async function writeCredentials(env: Environment, credentials: Credentials): Promise<string> {
  const path = credentialsPath(env);
  const own = `${path}.${process.pid}`;
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const file = await open(own, 'w', 0o600);
    try {
      await file.chmod(0o600);
      await file.writeFile(`${JSON.stringify(credentials, undefined, 2)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(own, path);
  } catch (cause) {
    await rm(own, { force: true }).catch(() => undefined);
    throw new HeadwaterError('HW_DISK', `cannot write ${path}: ${(cause as Error).message}`, { cause });
  }
  return path;
}

/** @throws HeadwaterError `HW_DISK` */
export async function forgetCredentials(env: Environment): Promise<void> {
  const path = credentialsPath(env);
  try {
    await rm(path, { force: true });
  } catch (cause) {
    throw new HeadwaterError('HW_DISK', `cannot remove ${path}: ${(cause as Error).message}`, { cause });
  }
}

function parse(text: string): Credentials | undefined {
  try {
    const value = JSON.parse(text) as Partial<Credentials> | null;
    const whole =
      Array.isArray(value?.addresses) &&
      value.addresses.every((each) => typeof each === 'string') &&
      typeof value.token === 'string' &&
      typeof value.email === 'string' &&
      typeof value.expiresAt === 'string';
    return whole ? (value as Credentials) : undefined;
  } catch {
    return undefined;
  }
}

function given(value: string | undefined): string | undefined {
  return value === undefined || value.trim() === '' ? undefined : value.trim();
}

function sameAddress(one: string, other: string): boolean {
  return (URL.canParse(other) ? new URL(other).origin : other) === new URL(one).origin;
}
