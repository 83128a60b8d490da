import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';

import { MOST_CHUNK_SIZE } from '../../core/chunks.ts';
import { HeadwaterError } from '../../core/errors.ts';
import { ChunkDraft } from './chunk-draft.ts';
import { ChunkFolder } from './chunk-folder.ts';
import { ChunkIndex } from './chunk-index.ts';
import { DigestTurns } from './digest-turns.ts';
import { JANITOR_SLICE, KEEP_FOR_FOUND, MOST_ARRIVING, SCRUB_BLOCK } from './limits.ts';
import { Room } from './room.ts';

export interface ChunkStoreOptions {
  /** The server's data folder. */
  readonly data: string;
  /** Bytes that may be filled; undefined: what is free besides the reserve, and what is used. */
  readonly capacity: number | undefined;
  /** Bytes of the disk that are kept free; undefined: the default. */
  readonly reserve: number | undefined;
  readonly onFault: (error: HeadwaterError) => void;
  /** Chunks that were here turned out to be gone or bad. */
  readonly onLost: (digests: readonly string[]) => void;
}

/** What is in the store. */
export interface StoreState {
  readonly capacity: number;
  readonly chunks: number;
  readonly bytes: number;
  /** There is room for one more chunk, however large. */
  readonly open: boolean;
}

/**
 * Chunks by their SHA-256, each once. One is in its place only when it was whole, right and on the disk; what is asked for
 * and not here is told from what is. Nothing is kept in memory for a single chunk.
 */
export class ChunkStore {
  readonly index: ChunkIndex;
  readonly folder: ChunkFolder;
  /** What the index says has to be compared with what lies in the folder. */
  readonly doubtful: boolean;
  readonly #options: ChunkStoreOptions;
  readonly #room: Room;
  readonly #turns = new DigestTurns();
  readonly #drafts = new Set<ChunkDraft>();
  #chunks: number;
  #bytes: number;
  #arriving = 0;
  #closed = false;

  private constructor(
    options: ChunkStoreOptions,
    parts: { index: ChunkIndex; folder: ChunkFolder; room: Room; doubtful: boolean },
  ) {
    this.#options = options;
    this.index = parts.index;
    this.folder = parts.folder;
    this.#room = parts.room;
    this.doubtful = parts.doubtful;
    ({ chunks: this.#chunks, bytes: this.#bytes } = parts.index.totals());
  }

  /** @throws HeadwaterError `HW_DISK` */
  static async open(options: ChunkStoreOptions): Promise<ChunkStore> {
    const { data, capacity, reserve, onFault } = options;
    const folder = await ChunkFolder.open(data);
    const index = await ChunkIndex.open(join(data, 'chunks.sqlite'), (cause) => {
      const message = `the index of the chunks is broken (${cause.message}); it is made anew from the folder`;
      onFault(new HeadwaterError('HW_DISK', message, { cause }));
    });
    try {
      const room = await Room.measure(data, index.totals().bytes, { capacity, reserve });
      const identity = await folder.identity();
      const doubtful = index.doubtful || index.fact('folder') !== identity;
      index.setFact('folder', identity);
      return new ChunkStore(options, { index, folder, room, doubtful });
    } catch (error) {
      index.close(false);
      throw error;
    }
  }

  get state(): StoreState {
    return {
      capacity: this.#room.capacity,
      chunks: this.#chunks,
      bytes: this.#bytes,
      open: this.#room.fits(this.#bytes, MOST_CHUNK_SIZE),
    };
  }

  /** Asks anew how much of the disk is free. */
  async refresh(): Promise<void> {
    await this.#room.refresh();
  }

  /** Whether it is here: in the index, and as a file of the right size. Keeps it until then. */
  async keep(digest: string, until: number): Promise<boolean> {
    // First, so that nobody removes it meanwhile.
    return this.keepKnown([digest], until).length > 0 && (await this.isOnDisk(digest));
  }

  /** Keeps those that the index has until then; gives which of them these are. */
  keepKnown(digests: readonly string[], until: number): number[] {
    const now = Date.now();
    return this.index.together(() =>
      [...digests.keys()].filter((at) => this.index.keep(Buffer.from(digests[at] ?? '', 'hex'), now, until)),
    );
  }

  /** Whether a chunk of the index lies in the folder, too; one that does not is told as lost. */
  async isOnDisk(digest: string): Promise<boolean> {
    const size = this.index.sizeOf(Buffer.from(digest, 'hex'));
    if (size === undefined) return false;
    if ((await this.folder.sizeOf(digest)) === size) return true;
    await this.#lost(digest);
    return false;
  }

  /**
   * A place for a chunk that arrives.
   *
   * @throws HeadwaterError `HW_TOO_LARGE`, `HW_TOO_MANY`, `HW_NO_ROOM`, `HW_DISK_FULL`, `HW_DISK`
   */
  async draft(digest: string, size: number, keepUntil: number): Promise<ChunkDraft> {
    if (size > MOST_CHUNK_SIZE) {
      throw new HeadwaterError('HW_TOO_LARGE', `a chunk has at most ${MOST_CHUNK_SIZE} bytes`);
    }
    if (this.#closed) throw new HeadwaterError('HW_UNAVAILABLE', 'this server is ending');
    if (this.#arriving >= MOST_ARRIVING) {
      const details = { retryAfter: 1 };
      throw new HeadwaterError('HW_TOO_MANY', 'too many chunks arrive here at once', { details });
    }
    this.#arriving++;
    let taken = false;
    try {
      await this.#room.take(() => this.#bytes, size);
      taken = true;
      const { path, descriptor } = await this.folder.draft();
      const draft = new ChunkDraft({
        digest,
        size,
        path,
        descriptor,
        place: () => this.#place(path, digest, size, keepUntil),
        onEnd: (stored) => {
          this.#drafts.delete(draft);
          this.#arriving--;
          if (stored) this.#room.written(size);
          else this.#room.giveBack(size);
        },
      });
      this.#drafts.add(draft);
      return draft;
    } catch (error) {
      this.#arriving--;
      if (taken) this.#room.giveBack(size);
      throw error;
    }
  }

  /** Undefined when it is not here. Whoever opened it closes it. */
  async open(digest: string): Promise<{ readonly handle: FileHandle; readonly size: number } | undefined> {
    const size = this.index.sizeOf(Buffer.from(digest, 'hex'));
    if (size === undefined) return undefined;
    const handle = await this.folder.open(digest);
    if (handle !== undefined) return { handle, size };
    await this.#lost(digest);
    return undefined;
  }

  /** Removes what nothing refers to and nobody waits for; gives how many. */
  async sweep(signal: AbortSignal): Promise<number> {
    let removed = 0;
    while (!signal.aborted) {
      const unused = this.index.unused(Date.now(), JANITOR_SLICE);
      if (unused.length === 0) return removed;
      for (const each of unused) {
        if (signal.aborted) return removed;
        await this.#remove(each.toString('hex'));
        removed++;
      }
    }
    return removed;
  }

  /**
   * Reads a chunk and compares it with its digest. A bad one, and one that cannot be read, is put aside and told as lost.
   * `pace` is waited for after each block.
   */
  async verify(digest: string, pace: (bytes: number) => Promise<void>): Promise<'good' | 'bad' | 'gone'> {
    const opened = await this.open(digest);
    if (opened === undefined) return 'gone';
    let found: string | undefined;
    try {
      found = await digestOf(opened.handle, opened.size, pace);
    } catch (cause) {
      // A sector that cannot be read is as bad as a wrong one.
      const { code = '' } = cause as NodeJS.ErrnoException;
      if (code !== 'EIO' && code !== 'EUCLEAN') throw cause;
    } finally {
      await opened.handle.close();
    }
    const key = Buffer.from(digest, 'hex');
    if (found === digest) {
      this.index.verified(key, Date.now());
      return 'good';
    }
    // It may have been removed while it was read.
    if (!this.index.has(key)) return 'gone';
    await this.#turns.run(digest, async () => {
      this.#forget(key);
      await this.folder.quarantine(digest);
    });
    this.#options.onLost([digest]);
    return 'bad';
  }

  /** A file without an entry in the index, or an entry without a file. */
  async reconcile(digest: string): Promise<void> {
    await this.#turns.run(digest, async () => {
      const key = Buffer.from(digest, 'hex');
      const size = await this.folder.sizeOf(digest);
      const known = this.index.sizeOf(key);
      if (size === known) return;
      if (known !== undefined) this.#forget(key);
      if (size === undefined) return;
      // Its bytes are looked at before those that were read some time.
      this.#add(key, size, 0, Date.now() + KEEP_FOR_FOUND);
    });
  }

  /** Lets what arrives go, and closes the index. `clean`: it can be relied on the next time. */
  async close(clean: boolean): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#drafts].map((each) => each.drop()));
    this.index.close(clean);
  }

  async #place(draft: string, digest: string, size: number, keepUntil: number): Promise<void> {
    await this.#turns.run(digest, async () => {
      const key = Buffer.from(digest, 'hex');
      await this.folder.place(draft, digest);
      try {
        this.#add(key, size, Date.now(), keepUntil);
      } catch (cause) {
        // No room for the entry, on a disk that was full for it: the file alone would be nobody's.
        await this.folder.remove(digest);
        throw cause;
      }
    });
  }

  #add(digest: Buffer, size: number, verifiedAt: number, keepUntil: number): void {
    if (!this.index.add({ digest, size, verifiedAt }, Date.now(), keepUntil)) return;
    this.#chunks++;
    this.#bytes += size;
  }

  #forget(key: Buffer): void {
    this.#gone(this.index.remove(key));
  }

  #gone(size: number | undefined): void {
    if (size === undefined) return;
    this.#chunks--;
    this.#bytes -= size;
  }

  async #remove(digest: string): Promise<void> {
    await this.#turns.run(digest, async () => {
      const size = this.index.removeUnused(Buffer.from(digest, 'hex'), Date.now());
      this.#gone(size);
      if (size !== undefined) await this.folder.remove(digest);
    });
  }

  /** It should be here, and its file is not, or is another. */
  async #lost(digest: string): Promise<void> {
    const lost = await this.#turns.run(digest, async () => {
      const key = Buffer.from(digest, 'hex');
      const known = this.index.sizeOf(key);
      if (known === undefined || (await this.folder.sizeOf(digest)) === known) return false;
      this.#forget(key);
      await this.folder.quarantine(digest);
      return true;
    });
    if (lost) this.#options.onLost([digest]);
  }
}

async function digestOf(
  handle: FileHandle,
  size: number,
  pace: (bytes: number) => Promise<void>,
): Promise<string> {
  const hash = createHash('sha256');
  const block = Buffer.allocUnsafeSlow(SCRUB_BLOCK);
  // One byte past its end, so that one that is too long is told.
  for (let position = 0; position <= size;) {
    const { bytesRead } = await handle.read(block, 0, block.length, position);
    if (bytesRead === 0) break;
    hash.update(block.subarray(0, bytesRead));
    position += bytesRead;
    await pace(bytesRead);
  }
  return hash.digest('hex');
}
