import { constants } from 'node:fs';
import { lstat, open, rm, stat, type FileHandle } from 'node:fs/promises';

import { Bitmap } from '../../core/bitmap.ts';
import { ChunkLayout } from '../../core/chunks.ts';
import { HeadwaterError } from '../../core/errors.ts';
import { bootId } from './boot.ts';
import { errorCode, onDisk, unlessMissing } from './disk-error.ts';
import { isLocal } from './file-system.ts';
import { compareIdentity, type FileIdentity } from './identity.ts';
import { JournalFile } from './journal-file.ts';
import type { Extra, Journal } from './journal.ts';
import { acquireLock, type FileLock } from './lock.ts';
import { refuseExisting } from './output-name.ts';
import { PartFile, type Resumed } from './part-file.ts';
import { recut } from './recut.ts';
import { WritePace } from './write-pace.ts';

export interface OpenPartFileOptions {
  /** Path of the finished file. Its folder must exist. */
  readonly output: string;
  /** What is known of the file that is fetched now. */
  readonly identity: FileIdentity;
  readonly layout: ChunkLayout;
  /** False: what an earlier run left is removed. Default true. */
  readonly resume?: boolean;
  /** Replaces an output that is there, and drops a part file that does not fit. Default false. */
  readonly force?: boolean;
  /** Asked each time the journal is written: what to remember with it. Default: nothing. */
  readonly extra?: () => Extra;
}

/** What there is to start from. */
interface Start {
  readonly done: Bitmap;
  readonly safe: Bitmap;
  readonly resumed: Resumed;
  /** Exactly what the earlier run's journal says, which may so be gone on with. */
  readonly asJournalled: boolean;
}

/**
 * Makes or goes on with the part file of `output`: `OUTPUT.hw-part`, with `OUTPUT.hw-journal` that tells what of it is
 * right and `OUTPUT.hw-lock` that keeps other downloads off.
 *
 * @throws HeadwaterError `HW_OUTPUT_EXISTS`; `HW_OUTPUT_BUSY` another process writes it; `HW_FILE_CHANGED` an earlier
 * run began another file; `HW_PART_FOREIGN` no readable journal; `HW_DISK`, `HW_DISK_FULL`
 */
export async function openPartFile(options: OpenPartFileOptions): Promise<PartFile> {
  const { output, force = false } = options;
  const path = `${output}.hw-part`;
  const journal = new JournalFile(`${output}.hw-journal`);
  try {
    await refuseExisting(output, { force });
  } catch (error) {
    await sweep(output, path, journal);
    throw error;
  }
  const lock = await lockOutput(output);
  try {
    // Another process may have finished it since.
    await refuseExisting(output, { force });
    return await openLocked(options, path, journal, lock);
  } catch (error) {
    await journal.close();
    await lock.release();
    throw error;
  }
}

async function openLocked(
  options: OpenPartFileOptions,
  path: string,
  journal: JournalFile,
  lock: FileLock,
): Promise<PartFile> {
  const { output, identity, layout, force = false, extra = () => ({}) } = options;
  const boot = bootId();
  const earlier = await findEarlier(options, path, journal);
  const start =
    earlier === undefined ? startAnew(layout) : startFrom(earlier.journal, earlier.size, layout, identity);
  const said = { identity, chunkSize: layout.chunkSize, boot };
  // The journal is there before the part file, so that no moment leaves a part file without one.
  if (earlier === undefined) {
    await onDisk(unlessMissing(rm(path)), 'remove', path);
    await journal.replace({ ...said, done: start.safe, extra: {} }, () => []);
  } else if (start.asJournalled) {
    // What becomes done is in the journal at once, however long the first sync takes.
    await journal.goOn(earlier.journal);
  } else if (start.resumed.doubtful.length === 0) {
    // The old one may call chunks done that are not any more, and these will be written over.
    const { done, safe } = start;
    const unsynced = Array.from({ length: done.length }, (_, chunk) => chunk).filter(
      (chunk) => done.has(chunk) && !safe.has(chunk),
    );
    await journal.replace({ ...said, done: safe, extra: earlier.journal.extra }, () => unsynced);
  }
  const handle = await openAtSize(path, earlier === undefined, layout.size).catch(async (error: unknown) => {
    if (earlier === undefined) await Promise.allSettled([rm(path, { force: true }), journal.remove()]);
    throw error;
  });
  return new PartFile({
    ...start,
    output,
    path,
    handle,
    pace: new WritePace(await isLocal(path)),
    layout,
    identity,
    journal,
    lock,
    force,
    boot,
    extra,
  });
}

/** The earlier run's journal and how long its part file is; undefined when there is nothing to go on with. */
async function findEarlier(
  { identity, resume = true, force = false }: OpenPartFileOptions,
  path: string,
  file: JournalFile,
): Promise<{ journal: Journal; size: number } | undefined> {
  if (!resume) return undefined;
  const size = await sizeOf(path);
  if (size === undefined) return undefined;
  const journal = await file.read();
  if (journal === undefined || journal === 'unreadable') {
    if (force || size === 0) return undefined;
    const what = journal === undefined ? 'there is no journal' : 'its journal cannot be read';
    throw new HeadwaterError(
      'HW_PART_FOREIGN',
      `${path} is there, but ${what}, so nothing tells what of it is right; --force starts anew`,
      { details: { path } },
    );
  }
  if (compareIdentity(journal.identity, identity) !== 'different') return { journal, size };
  if (force || journal.done.count + journal.tail.length === 0) return undefined;
  throw fileChanged(path, journal.identity, identity);
}

/** Removes what a run left that was killed after it had given the output its name. */
async function sweep(output: string, path: string, journal: JournalFile): Promise<void> {
  try {
    const lock = await lockOutput(output);
    try {
      const [there, part] = await Promise.all([stat(output), stat(path).catch(() => undefined)]);
      if (part !== undefined && (part.ino !== there.ino || part.dev !== there.dev)) return;
      await unlessMissing(rm(path));
      await journal.remove();
    } finally {
      await lock.release();
    }
  } catch {
    // Somebody is at work here, or nothing can be written here: the output is there all the same, and that is the news.
  }
}

function startAnew(layout: ChunkLayout): Start {
  return {
    done: new Bitmap(layout.count),
    safe: new Bitmap(layout.count),
    resumed: { likeness: 'new', extra: {}, doubtful: [] },
    asJournalled: false,
  };
}

function startFrom(journal: Journal, size: number, layout: ChunkLayout, identity: FileIdentity): Start {
  const was = new ChunkLayout(journal.identity.size, journal.chunkSize);
  const here = (chunk: number): boolean => was.end(chunk) <= size;
  const synced = new Bitmap(was.count);
  for (let chunk = 0; chunk < was.count; chunk++)
    if (journal.done.has(chunk) && here(chunk)) synced.add(chunk);
  const written = new Bitmap(was.count, synced.bytes);
  for (const chunk of journal.tail) if (here(chunk)) written.add(chunk);

  const safe = recut(synced, was, layout);
  const all = recut(written, was, layout);
  const sameBoot = journal.boot !== undefined && journal.boot === bootId();
  const { manifest } = identity;
  // Chunks that were taken without this manifest, now that there is one, have to show that they are right.
  const held = manifest === undefined || manifest === journal.identity.manifest;
  const nothing = new Bitmap(layout.count);
  const done = !held ? nothing : sameBoot ? all : new Bitmap(layout.count, safe.bytes);
  const doubtful: number[] = [];
  for (let chunk = 0; chunk < layout.count; chunk++)
    if (all.has(chunk) && !done.has(chunk)) doubtful.push(chunk);
  const likeness = compareIdentity(journal.identity, identity) === 'same' ? 'same' : 'unknown';
  return {
    done,
    safe: held ? safe : nothing,
    resumed: { likeness, identity: journal.identity, extra: journal.extra, doubtful },
    asJournalled:
      sameBoot &&
      journal.chunkSize === layout.chunkSize &&
      done.count === journal.done.count + journal.tail.length,
  };
}

/**
 * Opens the part file and gives it its length. The length is set, and nothing is reserved: Node has no fallocate, and
 * writing zeros instead would cost as much as the download. It does tell at once when the file system cannot hold a
 * file of this size; a disk that becomes full is told of by the write that finds it so.
 */
async function openAtSize(path: string, create: boolean, size: number): Promise<FileHandle> {
  // Never through a symbolic link: the folder may be one that others write to.
  const flags = constants.O_RDWR | constants.O_NOFOLLOW | (create ? constants.O_CREAT | constants.O_EXCL : 0);
  const handle = await onDisk(open(path, flags, 0o666), create ? 'create' : 'open', path);
  try {
    await handle.truncate(size);
    return handle;
  } catch (error) {
    await handle.close();
    return onDisk(Promise.reject(error), 'create', path);
  }
}

/** @throws HeadwaterError `HW_OUTPUT_BUSY` */
export async function lockOutput(output: string): Promise<FileLock> {
  const path = `${output}.hw-lock`;
  const lock = await acquireLock(path);
  if (!('heldBy' in lock)) return lock;
  const { pid, host } = lock.heldBy;
  throw new HeadwaterError(
    'HW_OUTPUT_BUSY',
    `${output} is being written by process ${pid} on ${host}; when that cannot be, remove ${path}`,
    { details: { path: output, pid, host } },
  );
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    const there = await lstat(path);
    if (there.isFile()) return there.size;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    return onDisk(Promise.reject(error), 'read', path);
  }
  throw new HeadwaterError('HW_DISK', `cannot write ${path}: it is there and is no regular file`, {
    details: { path },
  });
}

function fileChanged(path: string, was: FileIdentity, is: FileIdentity): HeadwaterError {
  const how =
    was.size === is.size ? 'other content of the same size' : `${is.size} bytes where it had ${was.size}`;
  return new HeadwaterError(
    'HW_FILE_CHANGED',
    `the file on the servers is not the one that ${path} was begun with (${how}); that is kept, --force starts anew`,
    { details: { path, was, is } },
  );
}
