import { readdir, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';

import { isFileName } from '../core/api/common.ts';
import { HeadwaterError } from '../core/errors.ts';
import type { PutRequest } from './put-request.ts';

/** One file to publish. */
export interface FileToPut {
  /** A path; "-" is standard input. */
  readonly input: string;
  /** In the fleet. */
  readonly name: string;
}

/** What is to be published, and what is left out of it. */
export interface FilesToPut {
  readonly files: readonly FileToPut[];
  /** Paths of what is neither a file nor a folder. */
  readonly leftOut: readonly string[];
}

/**
 * The files that a person named, and those in the folders, in the order of their names.
 *
 * @throws HeadwaterError `HW_DISK`, `HW_USAGE` (no name for the fleet; two files of one name; nothing there)
 */
export async function filesToPut({ inputs, name }: PutRequest, signal: AbortSignal): Promise<FilesToPut> {
  const files: FileToPut[] = [];
  const leftOut: string[] = [];
  for (const input of inputs) {
    const own = name ?? basename(resolve(input));
    if (input === '-' || !(await isFolder(input))) files.push({ input, name: own });
    else await walk(input, own, { files, leftOut, folders: new Set(), signal });
  }
  if (files.length === 0) throw new HeadwaterError('HW_USAGE', `there is no file in ${inputs.join(', ')}`);
  refuseNames(files);
  return { files, leftOut };
}

interface Walk {
  readonly files: FileToPut[];
  readonly leftOut: string[];
  /** Folders that this one is in, so that a link to one of them goes round no circle. */
  readonly folders: ReadonlySet<string>;
  readonly signal: AbortSignal;
}

async function walk(folder: string, prefix: string, at: Walk): Promise<void> {
  const { files, leftOut, folders, signal } = at;
  signal.throwIfAborted();
  const { dev, ino } = await stat(folder).catch((cause: unknown) => {
    throw unreadable(folder, cause);
  });
  const identity = `${dev} ${ino}`;
  if (folders.has(identity)) {
    leftOut.push(folder);
    return;
  }
  const entries = await readdir(folder).catch((cause: unknown) => {
    throw unreadable(folder, cause);
  });
  for (const entry of entries.sort()) {
    const path = join(folder, entry);
    const name = `${prefix}/${entry}`;
    const found = await stat(path).catch(() => undefined);
    if (found?.isDirectory() === true)
      await walk(path, name, { ...at, folders: new Set([...folders, identity]) });
    else if (found?.isFile() === true) files.push({ input: path, name });
    else leftOut.push(path);
  }
}

async function isFolder(path: string): Promise<boolean> {
  const found = await stat(path).catch((cause: unknown) => {
    throw unreadable(path, cause);
  });
  return found.isDirectory();
}

/** Before the first byte is sent. */
function refuseNames(files: readonly FileToPut[]): void {
  const seen = new Map<string, string>();
  for (const { input, name } of files) {
    if (!isFileName(name)) {
      throw new HeadwaterError(
        'HW_USAGE',
        `${JSON.stringify(name)} is no name for a file of a fleet, which has no control characters and no backslash`,
      );
    }
    const other = seen.get(name);
    if (other !== undefined) {
      throw new HeadwaterError(
        'HW_USAGE',
        `${other} and ${input} would both be ${name}: --name gives one another name`,
      );
    }
    seen.set(name, input);
  }
}

function unreadable(path: string, cause: unknown): HeadwaterError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
  const why = code === 'ENOENT' ? 'it is not there' : code === 'EACCES' ? 'not allowed' : code;
  return new HeadwaterError('HW_DISK', `cannot read ${path}: ${why}`, { cause, details: { path } });
}
