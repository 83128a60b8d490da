import { realpath } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { promisify } from 'node:util';

import { identityOf, type FileIdentity } from './digests/file-identity.ts';
import { MOST_LISTED } from './limits.ts';
import { isServedSegment } from './request-name.ts';

/** One path that was given to be served. */
export type Root =
  | { readonly kind: 'file'; readonly path: string; readonly name: string }
  /** `path` is the real one. */
  | { readonly kind: 'folder'; readonly path: string };

/** The path with every link in it followed, in one call into the thread pool. */
export const realPathOf: (path: string) => Promise<string> = promisify(realpath.native);

interface FoundFile {
  readonly name: string;
  readonly path: string;
  readonly identity: FileIdentity;
}

export interface Found {
  readonly files: readonly FoundFile[];
  readonly truncated: boolean;
}

/** Every file that a name leads to; of two under one name the first. Links to folders are followed only when asked for. */
export async function findFiles(roots: readonly Root[]): Promise<Found> {
  const files = new Map<string, FoundFile>();
  for (const root of roots) {
    if (root.kind === 'file') {
      await add(root.name, root.path, undefined);
      continue;
    }
    const folders = [''];
    for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
      const entries = await readdir(join(root.path, folder), { withFileTypes: true }).catch(() => []);
      for (const entry of entries) {
        if (!isServedSegment(entry.name)) continue;
        const name = folder === '' ? entry.name : `${folder}/${entry.name}`;
        if (entry.isDirectory()) folders.push(name);
        else if (entry.isFile() || entry.isSymbolicLink()) await add(name, join(root.path, name), root.path);
        if (files.size > MOST_LISTED) break;
      }
      if (files.size > MOST_LISTED) break;
    }
  }
  const sorted = [...files.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  return { files: sorted.slice(0, MOST_LISTED), truncated: sorted.length > MOST_LISTED };

  async function add(name: string, path: string, inside: string | undefined): Promise<void> {
    if (files.has(name)) return;
    try {
      const real = await realPathOf(path);
      if (inside !== undefined && !isInside(inside, real)) return;
      const stats = await stat(real, { bigint: true });
      if (stats.isFile()) files.set(name, { name, path: real, identity: identityOf(stats) });
    } catch {
      // Gone since it was listed, a dead link, or not ours to see: not served.
    }
  }
}

/**
 * The real path of a name below a real folder; undefined when it leads out of it, or out and back in, or through
 * something hidden.
 *
 * @throws what the file system says
 */
export async function pathInside(folder: string, name: string): Promise<string | undefined> {
  const path = await realPathOf(join(folder, name));
  if (path === join(folder, name)) return path;
  const segments = name.split('/');
  for (let length = 1; length < segments.length; length++) {
    const way = await realPathOf(join(folder, ...segments.slice(0, length)));
    if (way !== folder && !isInside(folder, way)) return undefined;
  }
  return isInside(folder, path) ? path : undefined;
}

/** Whether a real path is below a real folder without passing anything hidden. */
function isInside(folder: string, path: string): boolean {
  const base = folder.endsWith(sep) ? folder : folder + sep;
  return path.startsWith(base) && path.slice(base.length).split(sep).every(isServedSegment);
}
