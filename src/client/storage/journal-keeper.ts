import { Bitmap } from '../../core/bitmap.ts';
import { errorCode } from './disk-error.ts';
import type { JournalFile } from './journal-file.ts';
import type { Snapshot } from './journal.ts';

/** Want of descriptors, in this process or in the system. */
const PASSING = new Set(['EMFILE', 'ENFILE']);
/** A new journal is written at most this often unless asked for, milliseconds. */
const LEAST_INTERVAL = 1_000;
/** Syncing takes at most one part in this many of the time: a slow disk is for the download's bytes first. */
const SYNC_SHARE = 5;
/** However slow the disk, a power failure costs not much more than this, milliseconds. */
const MOST_INTERVAL = 60_000;
/** Chunks done within this time are appended together, milliseconds. */
const APPEND_AFTER = 10;

interface Options {
  readonly file: JournalFile;
  /** The chunks that are done; the keeper reads it. */
  readonly done: Bitmap;
  /** What else the next snapshot says. */
  readonly describe: () => Omit<Snapshot, 'done'>;
  /** Makes the data that is written now last. */
  readonly sync: () => Promise<void>;
  /** Chunks that were synced by an earlier run. */
  readonly safe: Bitmap;
}

/**
 * Decides when the journal is written. Nobody waits for it: chunks are appended at once without a sync, so that a
 * killed process loses nothing; a snapshot follows in the background, so that a power failure loses little.
 */
export class JournalKeeper {
  readonly #file: JournalFile;
  readonly #done: Bitmap;
  readonly #describe: () => Omit<Snapshot, 'done'>;
  readonly #sync: () => Promise<void>;
  /** Done, and not in the snapshot that is on the disk or on the way to it. */
  readonly #unsynced = new Set<number>();
  #toAppend: number[] = [];
  #appendTimer: NodeJS.Timeout | undefined;
  #snapshotTimer: NodeJS.Timeout | undefined;
  #nextSnapshot = 0;
  /** The snapshot under way, and the one that was asked for since it began. */
  #running: Promise<void> | undefined;
  #following: Promise<void> | undefined;
  /** What the last snapshot said. */
  #safe: Bitmap;
  #dirty = false;
  #stopped = false;
  #failure: unknown;
  /** Set once the data could not be synced: the system may have dropped it, and will not say so a second time. */
  #dataLost = false;

  constructor(options: Options) {
    this.#file = options.file;
    this.#done = options.done;
    this.#describe = options.describe;
    this.#sync = options.sync;
    this.#safe = options.safe;
    // A journal that was just written can be appended to; one of an earlier run is replaced first.
    if (options.file.isOpen) this.#nextSnapshot = performance.now() + LEAST_INTERVAL;
  }

  /** What went wrong in the background; undefined while all is well. */
  get failure(): unknown {
    return this.#failure;
  }

  /** Something that the journal holds has changed since it was last written. */
  get dirty(): boolean {
    return this.#dirty;
  }

  /** The chunk has just become done. */
  added(chunk: number): void {
    this.#unsynced.add(chunk);
    this.#toAppend.push(chunk);
    this.touched();
    if (this.#stopped) return;
    this.#appendTimer ??= setTimeout(() => {
      this.#appendTimer = undefined;
      this.#background(this.#append());
    }, APPEND_AFTER).unref();
  }

  /** The chunk is not done any more. The journal on the disk still says so until the next `write`. */
  removed(chunk: number): void {
    this.#unsynced.delete(chunk);
    this.touched();
  }

  /** Something else changed that the next snapshot is to say. */
  touched(): void {
    this.#dirty = true;
    if (this.#stopped || this.#snapshotTimer !== undefined || this.#running !== undefined) return;
    const wait = Math.max(0, this.#nextSnapshot - performance.now());
    this.#snapshotTimer = setTimeout(() => {
      this.#snapshotTimer = undefined;
      this.#background(this.write());
    }, wait).unref();
  }

  /** Writes a snapshot of what is now. */
  write(): Promise<void> {
    if (this.#running === undefined) {
      this.#running = this.#snapshot().finally(() => {
        this.#running = undefined;
        if (this.#dirty) this.touched();
      });
      return this.#running;
    }
    this.#following ??= this.#running
      .catch(() => undefined)
      .then(() => {
        this.#following = undefined;
        return this.write();
      });
    return this.#following;
  }

  /**
   * Writes nothing by itself any more, and waits for what is under way. With `keep`, what has changed is written; a
   * disk that is too full for a new journal is no failure when the old one could take in all that is done.
   */
  async stop(options: { keep: boolean }): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#appendTimer);
    clearTimeout(this.#snapshotTimer);
    await this.#following?.catch(() => undefined);
    await this.#running?.catch(() => undefined);
    if (!options.keep || !this.#dirty || this.#dataLost) return;
    const appended = this.#file.isOpen ? await succeeds(this.#append()) : false;
    try {
      await this.write();
    } catch (error) {
      if (!appended) throw error;
    }
  }

  async #append(): Promise<void> {
    if (this.#dataLost) return;
    const chunks = this.#toAppend.filter((chunk) => this.#done.has(chunk));
    this.#toAppend = [];
    try {
      await this.#file.append(chunks);
    } catch (error) {
      this.#toAppend.push(...chunks);
      throw error;
    }
  }

  async #snapshot(): Promise<void> {
    if (this.#dataLost) throw this.#failure;
    const began = performance.now();
    clearTimeout(this.#snapshotTimer);
    this.#snapshotTimer = undefined;
    const said = { ...this.#describe(), done: new Bitmap(this.#done.length, this.#done.bytes) };
    const before = [...this.#unsynced];
    this.#unsynced.clear();
    this.#dirty = false;
    try {
      await this.#syncData();
      await this.#file.replace(said, () => {
        this.#toAppend = [];
        return [...this.#unsynced];
      });
      this.#safe = said.done;
    } catch (error) {
      this.#dirty = true;
      for (const chunk of before) if (this.#done.has(chunk)) this.#unsynced.add(chunk);
      throw error;
    } finally {
      const took = performance.now() - began;
      this.#nextSnapshot = began + Math.min(MOST_INTERVAL, Math.max(LEAST_INTERVAL, took * SYNC_SHARE));
    }
  }

  async #syncData(): Promise<void> {
    try {
      await this.#sync();
    } catch (error) {
      this.#dataLost = true;
      this.#failure ??= error;
      // The journal falls back to what was safe before, without the tail.
      const safe = new Bitmap(this.#done.length);
      for (let i = 0; i < safe.length; i++) if (this.#safe.has(i) && this.#done.has(i)) safe.add(i);
      await succeeds(this.#file.replace({ ...this.#describe(), done: safe }, () => []));
      throw error;
    }
  }

  #background(work: Promise<void>): void {
    work.catch((error: unknown) => {
      // Connections take descriptors too: there may be one for the next journal.
      const passing = error instanceof Error && PASSING.has(errorCode(error.cause) ?? '');
      if (!passing) this.#failure ??= error;
    });
  }
}

async function succeeds(work: Promise<void>): Promise<boolean> {
  try {
    await work;
    return true;
  } catch {
    return false;
  }
}
