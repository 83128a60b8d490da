import { rm, type FileHandle } from 'node:fs/promises';

import type { Bitmap } from '../../core/bitmap.ts';
import type { ChunkLayout } from '../../core/chunks.ts';
import { HeadwaterError } from '../../core/errors.ts';
import { diskError, onDisk, unlessMissing } from './disk-error.ts';
import type { FileIdentity, Likeness } from './identity.ts';
import type { JournalFile } from './journal-file.ts';
import { JournalKeeper } from './journal-keeper.ts';
import type { Extra } from './journal.ts';
import type { FileLock } from './lock.ts';
import { giveName } from './output-name.ts';
import { writeAt, writeNowAt } from './positioned-write.ts';
import type { WritePace } from './write-pace.ts';

/** What an earlier run left. */
export interface Resumed {
  /** `new`: nothing. `unknown`: a file of this size; whether it is this file only the bytes in it can tell. */
  readonly likeness: Exclude<Likeness, 'different'> | 'new';
  /** What the earlier run knew of the file. */
  readonly identity?: FileIdentity;
  /** What the earlier run wanted to remember. */
  readonly extra: Extra;
  /**
   * Chunks that are not done but probably right: written, but not synced, before the system stopped, or taken by a run
   * that did not have this manifest. Who has their digests can look, and mark those that are right. The journal still
   * says of them what the earlier run said: it has to be flushed before one of them is written over.
   */
  readonly doubtful: readonly number[];
}

interface Parts {
  readonly output: string;
  readonly path: string;
  readonly handle: FileHandle;
  readonly pace: WritePace;
  readonly layout: ChunkLayout;
  readonly identity: FileIdentity;
  readonly done: Bitmap;
  /** Those of `done` that were synced. */
  readonly safe: Bitmap;
  readonly resumed: Resumed;
  readonly journal: JournalFile;
  readonly lock: FileLock;
  readonly force: boolean;
  readonly boot: string | undefined;
  readonly extra: () => Extra;
}

/** A file that is being filled, its journal and its lock. Made by `openPartFile`; `close` must be called in the end,
 * after `finish` too. */
export class PartFile {
  readonly output: string;
  readonly path: string;
  /** Open for reading and writing until `finish` or `close`. */
  readonly fd: number;
  /** To be changed by `markDone` and `unmark` only. */
  readonly done: Bitmap;
  readonly resumed: Resumed;
  readonly #parts: Parts;
  readonly #keeper: JournalKeeper;
  #identity: FileIdentity;
  #writing = 0;
  readonly #onIdle: (() => void)[] = [];
  #finished = false;
  #closing: Promise<void> | undefined;

  constructor(parts: Parts) {
    this.output = parts.output;
    this.path = parts.path;
    this.fd = parts.handle.fd;
    this.done = parts.done;
    this.resumed = parts.resumed;
    this.#parts = parts;
    this.#identity = parts.identity;
    this.#keeper = new JournalKeeper({
      file: parts.journal,
      done: parts.done,
      safe: parts.safe,
      describe: () => ({
        identity: this.#identity,
        chunkSize: parts.layout.chunkSize,
        boot: parts.boot,
        extra: parts.extra(),
      }),
      sync: () => parts.pace.watchSync(onDisk(parts.handle.datasync(), 'sync', parts.path)),
    });
  }

  /**
   * Writes the buffers, one after another, from byte `position` on. They may be used again once this resolves. Rejects
   * too when the journal could not be kept since the last call.
   *
   * @throws HeadwaterError `HW_DISK_FULL`, `HW_DISK`
   */
  async write(buffers: Uint8Array | readonly Uint8Array[], position: number): Promise<void> {
    if (this.#closing !== undefined)
      throw new HeadwaterError('HW_INTERNAL', `${this.path} is written after it was closed`);
    if (this.#keeper.failure !== undefined) throw diskError(this.#keeper.failure, 'write', this.path);
    this.#writing++;
    try {
      const all = buffers instanceof Uint8Array ? [buffers] : buffers;
      await this.#parts.pace.watch(writeAt(this.fd, all, position));
    } catch (cause) {
      throw diskError(cause, 'write', this.path);
    } finally {
      if (--this.#writing === 0) for (const resolve of this.#onIdle.splice(0)) resolve();
    }
  }

  /**
   * Does the same here and now, where that is most likely over at once. False: nothing is said of how much was written, if
   * anything, and all of it is to be given to `write`, which also tells what is wrong.
   */
  writeNow(buffers: readonly Uint8Array[], position: number): boolean {
    const { pace } = this.#parts;
    if (this.#closing !== undefined || this.#keeper.failure !== undefined || !pace.atOnce) return false;
    return pace.time(() => writeNowAt(this.fd, buffers, position)) === lengthOf(buffers);
  }

  /** All bytes of the chunk are written and right. The journal follows in the background. True when it was not done. */
  markDone(chunk: number): boolean {
    const added = this.done.add(chunk);
    if (added) this.#keeper.added(chunk);
    return added;
  }

  /**
   * The chunks are not done any more. Only when this has resolved, and the journal does not call them done either, may
   * anything be written over them.
   */
  async unmark(chunks: Iterable<number>): Promise<void> {
    let any = false;
    for (const chunk of chunks) {
      if (!this.done.delete(chunk)) continue;
      this.#keeper.removed(chunk);
      any = true;
    }
    if (any) await this.#keeper.write();
  }

  /** More has become known of the file; the journal will say so. */
  identify(identity: FileIdentity): void {
    this.#identity = identity;
    this.#keeper.touched();
  }

  /** Syncs the data and writes the journal now; by itself this happens about once a second while chunks become done. */
  async flush(): Promise<void> {
    await this.#keeper.write();
  }

  /** Drops all that is there, for example because an earlier run's bytes turn out to be another file's. */
  async reset(): Promise<void> {
    await this.unmark(Array.from({ length: this.#parts.layout.count }, (_, chunk) => chunk));
    // Also where nothing was marked: the journal may still say what the earlier run said.
    await this.#keeper.write();
    await onDisk(this.#parts.handle.truncate(0), 'empty', this.path);
    await onDisk(this.#parts.handle.truncate(this.#parts.layout.size), 'write', this.path);
  }

  /**
   * Gives the file its name, after its bytes are safe on the disk, and removes journal and lock.
   *
   * @throws HeadwaterError `HW_OUTPUT_EXISTS` when something else has the name by now and `force` was not set; `HW_DISK`,
   * `HW_DISK_FULL`. The part file and its journal are still there then.
   */
  async finish(): Promise<void> {
    const { layout, handle, output, force } = this.#parts;
    if (this.done.count !== layout.count) {
      const missing = layout.count - this.done.count;
      throw new HeadwaterError('HW_INTERNAL', `${output} was to be finished with ${missing} chunks missing`);
    }
    await this.#idle();
    await this.#keeper.stop({ keep: false });
    if (this.#keeper.failure !== undefined) throw diskError(this.#keeper.failure, 'write', this.path);
    await onDisk(handle.datasync(), 'sync', this.path);
    await giveName(this.path, output, { force });
    this.#finished = true;
    await this.close();
  }

  /**
   * Writes the journal, gives the lock up and keeps the files, unless there is nothing in them. Does nothing after
   * `finish` and nothing a second time. Whatever happens, nothing stays open.
   *
   * @throws HeadwaterError `HW_DISK`, `HW_DISK_FULL` when chunks became done that the journal could not take in
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { handle, journal, lock } = this.#parts;
    await this.#idle();
    try {
      const worthless = this.done.count === 0 && this.resumed.doubtful.length === 0;
      await this.#keeper.stop({ keep: !this.#finished && !worthless });
      if (worthless) await onDisk(unlessMissing(rm(this.path)), 'remove', this.path);
      if (this.#finished || worthless) await journal.remove();
    } finally {
      await Promise.allSettled([journal.close(), handle.close()]);
      await lock.release();
    }
  }

  /** Waits for writes under way: a descriptor closed under them could by then be another file's. */
  async #idle(): Promise<void> {
    if (this.#writing === 0) return;
    await new Promise<void>((resolve) => this.#onIdle.push(resolve));
  }
}

function lengthOf(buffers: readonly Uint8Array[]): number {
  return buffers.reduce((sum, { length }) => sum + length, 0);
}
