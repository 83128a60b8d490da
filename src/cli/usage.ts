import { readFileSync } from 'node:fs';

import { HeadwaterError } from '../core/errors.ts';

/** A command line that cannot be taken as it is. */
export function usage(message: string, cause?: unknown): HeadwaterError {
  return new HeadwaterError('HW_USAGE', message, cause === undefined ? {} : { cause });
}

/**
 * The text of a file that an option names.
 *
 * @throws HeadwaterError `HW_USAGE`
 */
export function readNamedFile(flag: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw usage(`${flag} takes a file; ${JSON.stringify(path)} cannot be read (${reasonOf(cause)})`, cause);
  }
}

/**
 * What --tls-cert and --tls-key name, PEM; undefined without them.
 *
 * @throws HeadwaterError `HW_USAGE` when only one of them is given, or cannot be read
 */
export function readTlsFiles(
  cert: string | undefined,
  key: string | undefined,
): { readonly cert: string; readonly key: string } | undefined {
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined || key === undefined) {
    throw usage('--tls-cert and --tls-key take a file each, and only together');
  }
  return { cert: readNamedFile('--tls-cert', cert), key: readNamedFile('--tls-key', key) };
}

/** The code of an error of the system, or what it says. */
export function reasonOf(cause: unknown): string {
  return cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
}
