import { open, readFile, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';

import { writeAt } from './positioned-write.ts';
import { errorCode, onDisk, unlessMissing } from './disk-error.ts';
import {
  decodeJournal,
  encodeSnapshot,
  encodeTail,
  MOST_JOURNAL_BYTES,
  RECORD_BYTES,
  type Journal,
  type Snapshot,
} from './journal.ts';

/** Records that a new journal has room for from the start. Written and synced with the snapshot, so that appending
 * needs no space on a disk that has become full, and no change of the file's length. */
const ROOM_RECORDS = 4096;

/** A journal on the disk: there is one whole good one under its name at any moment. */
export class JournalFile {
  readonly path: string;
  #handle: FileHandle | undefined;
  #snapshot: Uint8Array = new Uint8Array();
  #tailEnd = 0;
  /** Appending and putting a new journal in place take turns. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(path: string) {
    this.path = path;
  }

  /** Whether there is a journal of this run to append to. */
  get isOpen(): boolean {
    return this.#handle !== undefined;
  }

  /** What the journal says; undefined when there is none. */
  async read(): Promise<Journal | 'unreadable' | undefined> {
    try {
      const { size } = await stat(this.path);
      if (size > MOST_JOURNAL_BYTES) return 'unreadable';
      return decodeJournal(await readFile(this.path)) ?? 'unreadable';
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return undefined;
      return onDisk(Promise.reject(error), 'read', this.path);
    }
  }

  /** Goes on with a journal that was read: chunks can be appended to it before the first `replace`. */
  async goOn({ snapshot, tailEnd }: Journal): Promise<void> {
    this.#handle = await onDisk(open(this.path, 'r+'), 'write', this.path);
    this.#snapshot = snapshot;
    this.#tailEnd = tailEnd;
  }

  /**
   * Puts a new journal in place of the old one and makes it last.
   *
   * @param late asked for when nothing is appended to the old journal any more: the chunks that were done since the
   * snapshot was taken, for the new one's tail.
   */
  async replace(snapshot: Snapshot, late: () => readonly number[]): Promise<void> {
    await onDisk(this.#replace(snapshot, late), 'write', this.path);
  }

  /** Adds chunks that are written but not synced. Does nothing before `goOn` or the first `replace`. */
  async append(chunks: readonly number[]): Promise<void> {
    await onDisk(
      this.#exclusive(() => this.#append(chunks)),
      'write',
      this.path,
    );
  }

  async close(): Promise<void> {
    await this.#exclusive(async () => {
      const handle = this.#handle;
      this.#handle = undefined;
      await handle?.close();
    });
  }

  /** Closes it and takes it off the disk. */
  async remove(): Promise<void> {
    await this.close();
    await onDisk(unlessMissing(rm(this.path)), 'remove', this.path);
    await onDisk(unlessMissing(rm(this.#next)), 'remove', this.#next);
  }

  async #replace(snapshot: Snapshot, late: () => readonly number[]): Promise<void> {
    const bytes = encodeSnapshot(snapshot);
    const room = Math.min(ROOM_RECORDS, snapshot.done.length - snapshot.done.count) * RECORD_BYTES;
    const next = this.#next;
    // What a killed process left under this name may be anything.
    await rm(next, { force: true });
    const handle = await open(next, 'wx');
    try {
      await writeAt(handle.fd, [bytes, Buffer.alloc(room)], 0);
      await handle.sync();
      await this.#exclusive(async () => {
        const records = encodeTail(bytes, late());
        await writeAt(handle.fd, [records], bytes.length);
        await rename(next, this.path);
        await this.#handle?.close();
        this.#handle = handle;
        this.#snapshot = bytes;
        this.#tailEnd = bytes.length + records.length;
      });
    } catch (error) {
      if (this.#handle !== handle) {
        await handle.close();
        await rm(next, { force: true });
      }
      throw error;
    }
    await syncFolder(dirname(this.path));
  }

  /** The name a new journal has until it is whole and synced. */
  get #next(): string {
    return `${this.path}.new`;
  }

  async #append(chunks: readonly number[]): Promise<void> {
    if (this.#handle === undefined || chunks.length === 0) return;
    const records = encodeTail(this.#snapshot, chunks);
    await writeAt(this.#handle.fd, [records], this.#tailEnd);
    this.#tailEnd += records.length;
  }

  async #exclusive<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work);
    this.#turn = mine.catch(() => undefined);
    return mine;
  }
}

/** Makes the names in a folder last: renames and links are not safe before. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } catch (error) {
    // Some file systems cannot sync a folder, and have nothing to sync then.
    if (!['EINVAL', 'ENOTSUP', 'EPERM', 'EBADF'].includes(errorCode(error) ?? '')) throw error;
  } finally {
    await folder.close();
  }
}
