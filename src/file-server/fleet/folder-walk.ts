import { opendir, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { isFileName, MOST_NAME_LENGTH } from '../../core/api/common.ts';
import { identityOf, identityText, lastTouched } from '../digests/file-identity.ts';
import { pathInside } from '../find-files.ts';
import { isServedSegment } from '../request-name.ts';
import type { SeenFile } from './inventory.ts';
import { STATS_AT_ONCE } from './limits.ts';

/** What opening a folder says when it is not there, or not for us: nothing of it can be served. */
const ABSENT = new Set(['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM', 'ELOOP', 'ENAMETOOLONG']);

/** What is directly in a folder. */
export interface FolderContent {
  readonly files: readonly SeenFile[];
  /** Names below the root. */
  readonly folders: readonly string[];
  /** Names that cannot be names in a fleet. */
  readonly unnameable: readonly string[];
}

/** What is at a name: a file, a folder, or nothing that is served. */
export type Looked = SeenFile | 'folder' | undefined;

/**
 * What is served of one folder, without what is below its folders. Links to files are followed where they lead to a file
 * inside; links to folders are not. Undefined when it is not there.
 *
 * @throws what the file system says
 */
export async function readFolder(root: string, below: string): Promise<FolderContent | undefined> {
  const files: SeenFile[] = [];
  const folders: string[] = [];
  const unnameable: string[] = [];
  let waiting: Promise<Looked>[] = [];
  const settle = async () => {
    for (const looked of await Promise.all(waiting)) if (typeof looked === 'object') files.push(looked);
    waiting = [];
  };
  try {
    for await (const entry of await opendir(join(root, below), { bufferSize: 256 })) {
      if (!isServedSegment(entry.name)) continue;
      const name = below === '' ? entry.name : `${below}/${entry.name}`;
      if (entry.isDirectory()) folders.push(name);
      else if (entry.isFile() || entry.isSymbolicLink()) {
        if (isFleetName(name)) waiting.push(lookAt(root, name, entry.isSymbolicLink()));
        else unnameable.push(name);
      }
      if (waiting.length >= STATS_AT_ONCE) await settle();
    }
    await settle();
    return { files, folders, unnameable };
  } catch (error) {
    await Promise.allSettled(waiting);
    if (ABSENT.has((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

/**
 * What is at that name now.
 *
 * @param mayBeLink whether the way there has to be looked at; where a walk came from, it was
 * @throws what the file system says
 */
export async function lookAt(root: string, name: string, mayBeLink = true): Promise<Looked> {
  try {
    const path = mayBeLink ? await pathInside(root, name) : join(root, name);
    if (path === undefined) return undefined;
    const stats = await stat(path, { bigint: true });
    if (stats.isDirectory()) return 'folder';
    if (!stats.isFile()) return undefined;
    const identity = identityOf(stats);
    return {
      folder: root,
      name,
      path,
      state: identityText(identity),
      size: Number(identity.size),
      modified: lastTouched(identity),
    };
  } catch (error) {
    if (ABSENT.has((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

/** A file's name in a fleet can be shorter than what a file system takes. */
export function isFleetName(name: string): boolean {
  return name.length <= MOST_NAME_LENGTH && isFileName(name);
}
