import { constants } from 'node:fs';
import {
  copyFile,
  link,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

import { errorCode, onDisk, unlessMissing } from './disk-error.ts';
import { isAlive, parseOwner, thisProcess, type LockOwner } from './lock-owner.ts';

/** A lock is touched this often, milliseconds. */
const TOUCH_EVERY = 5_000;
/** A lock whose owner is out of sight (another machine, another container) and that was not touched for this long is
 * taken over, milliseconds. */
const OUT_OF_SIGHT_FOR = 30_000;
/** A lock file that is not whole is one that is being written, or that a power failure left; milliseconds. */
const TORN_FOR = 10_000;
/** Locks that take over a lock that takes over a lock …: each level is a process killed within a millisecond. */
const DEEPEST = 16;

/** A file that says that one process, and no other, works on something. */
export class FileLock {
  readonly path: string;
  readonly #self: LockOwner;
  readonly #touching: NodeJS.Timeout;

  /** Made by `acquireLock`. */
  constructor(path: string, self: LockOwner) {
    this.path = path;
    this.#self = self;
    this.#touching = setInterval(() => {
      const now = new Date();
      utimes(path, now, now).catch(() => undefined);
    }, TOUCH_EVERY).unref();
  }

  /** Gives the lock up. Does nothing a second time. */
  async release(): Promise<void> {
    clearInterval(this.#touching);
    await onDisk(removeIfOf(this.path, this.#self.id), 'remove', this.path);
    await sweep(this.path, this.#self).catch(() => undefined);
  }
}

/**
 * Takes the lock file at `path`, or gives who holds it. A lock whose owner is dead is taken over.
 *
 * @throws HeadwaterError `HW_DISK`, `HW_DISK_FULL`
 */
export async function acquireLock(path: string): Promise<FileLock | { readonly heldBy: LockOwner }> {
  const self = await thisProcess();
  const heldBy = await onDisk(take(path, self, 0), 'write', path);
  return heldBy === undefined ? new FileLock(path, self) : { heldBy };
}

/**
 * Undefined when `path` is ours now, else who holds it.
 *
 * The danger is in taking over: between seeing that the owner is dead and removing its lock, another process may have
 * done the same and hold the lock already, and would lose it. So the right to replace the lock of one certain dead
 * owner is itself a lock, named after that owner and taken in the same way. Who holds it looks again: if the dead
 * owner's lock is still there nobody else can replace it now, and one rename puts ours in its place.
 */
async function take(path: string, self: LockOwner, depth: number): Promise<LockOwner | undefined> {
  const mine = `${path}.${self.id}.${depth}`;
  try {
    await writeFile(mine, JSON.stringify(self), { flag: 'wx' });
    for (;;) {
      if (await putInPlace(mine, path)) return undefined;
      const there = await look(path, mine, self);
      if (there === undefined) continue;
      if (there.alive || depth === DEEPEST) return there.owner;
      const right = `${path}.${there.owner.id}`;
      const rival = await take(right, self, depth + 1);
      if (rival !== undefined) return rival;
      try {
        const again = await look(path, mine, self);
        if (again === undefined || again.alive || again.owner.id !== there.owner.id) continue;
        await rename(mine, path);
        return undefined;
      } finally {
        await unlessMissing(unlink(right));
      }
    }
  } finally {
    await rm(mine, { force: true });
  }
}

/** Gives our file the name `path` unless something has it: whole or not at all, where the file system has links. */
async function putInPlace(mine: string, path: string): Promise<boolean> {
  try {
    await link(mine, path);
    return true;
  } catch (error) {
    const code = errorCode(error) ?? '';
    if (code === 'EEXIST') return false;
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'].includes(code)) throw error;
  }
  try {
    await copyFile(mine, path, constants.COPYFILE_EXCL);
    return true;
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false;
    throw error;
  }
}

/** Who holds the lock at `path` and whether it is alive; undefined when there is none any more. */
async function look(
  path: string,
  mine: string,
  self: LockOwner,
): Promise<{ owner: LockOwner; alive: boolean } | undefined> {
  try {
    const owner = parseOwner(await readFile(path, 'utf8'));
    // Against a file made just now, since the clock that counts may be another machine's.
    const age = (await newest(mine)) - (await newest(path));
    if (owner === undefined) {
      return { owner: { pid: 0, host: 'an unknown machine', id: 'torn' }, alive: age < TORN_FOR };
    }
    const alive = await isAlive(owner, self);
    return { owner, alive: alive === 'unknown' ? age < OUT_OF_SIGHT_FOR : alive };
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function newest(path: string): Promise<number> {
  return (await stat(path)).mtimeMs;
}

async function removeIfOf(path: string, id: string): Promise<void> {
  await unlessMissing(
    (async () => {
      const owner = parseOwner(await readFile(path, 'utf8'));
      if (owner?.id === id) await unlink(path);
    })(),
  );
}

/**
 * Removes what processes left that were killed while they took this lock. All of it was about owners before this one:
 * the right to replace a lock that is gone is worth nothing, so it does no harm if one is taken just now.
 */
async function sweep(path: string, self: LockOwner): Promise<void> {
  const folder = dirname(path);
  const prefix = `${basename(path)}.`;
  for (const name of await readdir(folder)) {
    if (!name.startsWith(prefix)) continue;
    const file = join(folder, name);
    const owner = parseOwner(await readFile(file, 'utf8'));
    if (owner !== undefined && (await isAlive(owner, self)) === false) await rm(file, { force: true });
  }
}
