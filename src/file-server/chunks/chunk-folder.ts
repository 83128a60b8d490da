import { closeSync, constants, fsync, open as openCallback, openSync } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat, unlink, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { HeadwaterError } from '../../core/errors.ts';
import { isSha256 } from '../../core/manifest.ts';
import { MOST_QUARANTINED } from './limits.ts';

// Each call less is a wake of another thread less, which is what a small chunk costs most.
const openFile = promisify(openCallback);
const sync = promisify(fsync);
const ABSENT = new Set(['ENOENT', 'ENOTDIR']);
const FULL = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);
const NONE_LEFT = new Set(['EMFILE', 'ENFILE', 'ENOMEM']);

/** Where chunks lie: `chunks/ab/cd/<digest>`; what arrives in `chunks/arriving`; bad ones in `quarantine`. */
export class ChunkFolder {
  readonly #chunks: string;
  readonly #arriving: string;
  readonly #quarantine: string;
  /** Folders that are there: at most 65,792 short names. */
  readonly #made = new Set<string>();
  #drafts = 0;

  private constructor(data: string) {
    this.#chunks = join(data, 'chunks');
    this.#arriving = join(this.#chunks, 'arriving');
    this.#quarantine = join(data, 'quarantine');
  }

  /**
   * Made where it is not there; what was left half written goes.
   *
   * @throws HeadwaterError `HW_DISK`
   */
  static async open(data: string): Promise<ChunkFolder> {
    const folder = new ChunkFolder(data);
    try {
      await rm(folder.#arriving, { recursive: true, force: true });
      await mkdir(folder.#arriving, { recursive: true, mode: 0o700 });
      return folder;
    } catch (cause) {
      throw diskError(`${folder.#chunks} cannot be used`, cause);
    }
  }

  /** Tells this folder from another at the same path. */
  async identity(): Promise<string> {
    const { dev, ino, birthtimeNs } = await stat(this.#chunks, { bigint: true });
    return `${dev}:${ino}:${birthtimeNs}`;
  }

  /** A new file to write a chunk to: its descriptor is whose it is given to. */
  async draft(): Promise<{ readonly path: string; readonly descriptor: number }> {
    const path = join(this.#arriving, `${process.pid}-${++this.#drafts}`);
    try {
      return { path, descriptor: await openFile(path, 'wx', 0o600) };
    } catch (cause) {
      throw diskError('a chunk cannot be written', cause);
    }
  }

  /** Puts a written and synced draft in its place; it is there after a power failure, too. */
  async place(draft: string, digest: string): Promise<void> {
    const below = this.#below(digest);
    const path = join(below, digest);
    await this.#make(digest);
    try {
      await rename(draft, path);
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause;
      // Somebody removed the folder meanwhile.
      this.#made.clear();
      await this.#make(digest);
      await rename(draft, path);
    }
    await syncFolder(below);
  }

  /** Makes the folder that the chunk goes to, unless it is known to be there. */
  async #make(digest: string): Promise<void> {
    const leaf = digest.slice(0, 4);
    if (this.#made.has(leaf)) return;
    const first = digest.slice(0, 2);
    await mkdir(this.#below(digest), { recursive: true, mode: 0o700 });
    await syncFolder(join(this.#chunks, first));
    if (!this.#made.has(first)) await syncFolder(this.#chunks);
    this.#made.add(first).add(leaf);
  }

  /** Undefined: it is not there. */
  async open(digest: string): Promise<FileHandle | undefined> {
    try {
      return await open(this.path(digest), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    } catch (cause) {
      const { code = '' } = cause as NodeJS.ErrnoException;
      if (ABSENT.has(code)) return undefined;
      throw diskError('a chunk cannot be opened', cause);
    }
  }

  /** Bytes of the chunk's file; undefined: it is not there. */
  async sizeOf(digest: string): Promise<number | undefined> {
    try {
      const stats = await stat(this.path(digest));
      return stats.isFile() ? stats.size : undefined;
    } catch (cause) {
      if (ABSENT.has((cause as NodeJS.ErrnoException).code ?? '')) return undefined;
      throw diskError('a chunk cannot be looked at', cause);
    }
  }

  async remove(digest: string): Promise<void> {
    try {
      await unlink(this.path(digest));
    } catch (cause) {
      if (!ABSENT.has((cause as NodeJS.ErrnoException).code ?? '')) {
        throw diskError('a chunk cannot be removed', cause);
      }
    }
  }

  /** Puts a bad chunk where nobody is sent it from. Of very many the oldest go. */
  async quarantine(digest: string): Promise<void> {
    try {
      await mkdir(this.#quarantine, { recursive: true, mode: 0o700 });
      const names = (await readdir(this.#quarantine)).sort();
      for (const name of names.slice(0, Math.max(0, names.length - MOST_QUARANTINED + 1))) {
        await rm(join(this.#quarantine, name), { force: true });
      }
      // By time, so that they sort by it.
      await rename(this.path(digest), join(this.#quarantine, `${Date.now()}-${digest}`));
    } catch (cause) {
      if (ABSENT.has((cause as NodeJS.ErrnoException).code ?? '')) return;
      throw diskError('a bad chunk cannot be put aside', cause);
    }
  }

  /** Digests of the chunks that lie below these two bytes. */
  async digestsBelow(first: string, second: string): Promise<string[]> {
    return (await listed(join(this.#chunks, first, second))).filter(
      (name) => isSha256(name) && name.startsWith(first + second),
    );
  }

  /** Names of the folders for second bytes that are there for a first one. */
  async foldersBelow(first: string): Promise<string[]> {
    return (await listed(join(this.#chunks, first))).filter((name) => /^[0-9a-f]{2}$/.test(name));
  }

  /** Only for what is a digest: nothing else leads to a path. */
  path(digest: string): string {
    if (!isSha256(digest)) throw new RangeError('no digest');
    return join(this.#below(digest), digest);
  }

  #below(digest: string): string {
    return join(this.#chunks, digest.slice(0, 2), digest.slice(2, 4));
  }
}

async function listed(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (cause) {
    if (ABSENT.has((cause as NodeJS.ErrnoException).code ?? '')) return [];
    throw diskError(`${path} cannot be read`, cause);
  }
}

/** Opening and closing a folder never waits for a disk that has just made it; only syncing goes to another thread. */
async function syncFolder(path: string): Promise<void> {
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await sync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** What a disk says, as the error that says what to do. */
export function diskError(what: string, cause: unknown): HeadwaterError {
  if (cause instanceof HeadwaterError) return cause;
  const { code = '', message } = cause as NodeJS.ErrnoException;
  if (FULL.has(code)) return new HeadwaterError('HW_DISK_FULL', `${what}: the disk is full`, { cause });
  if (NONE_LEFT.has(code)) {
    const details = { retryAfter: 1 };
    return new HeadwaterError('HW_UNAVAILABLE', `${what} now: too many files are open`, { cause, details });
  }
  return new HeadwaterError('HW_DISK', `${what}: ${message}`, { cause });
}
