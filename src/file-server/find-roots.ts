import { realpath, stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';

import { HeadwaterError } from '../core/errors.ts';
import type { Root } from './find-files.ts';
import { isServedSegment } from './request-name.ts';

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

function usage(message: string, cause?: unknown): HeadwaterError {
  return new HeadwaterError('HW_USAGE', message, { cause });
}
