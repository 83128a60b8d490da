import { statfs } from 'node:fs/promises';

import { HeadwaterError } from '../../core/errors.ts';
import { DEFAULT_RESERVE, DEFAULT_RESERVE_SHARE, ROOM_AGE } from './limits.ts';

/** What may be filled: at most `capacity` bytes of chunks, and never so much that less than `reserve` is free. */
export class Room {
  readonly capacity: number;
  readonly reserve: number;
  readonly #path: string;
  #free: number;
  #askedAt = performance.now();
  /** Bytes that arrive now. */
  #arriving = 0;
  /** Bytes written since the free space was asked for. */
  #since = 0;

  private constructor(path: string, free: number, capacity: number, reserve: number) {
    this.#path = path;
    this.#free = free;
    this.capacity = capacity;
    this.reserve = reserve;
  }

  /**
   * @param used bytes of the chunks that are there
   * @throws HeadwaterError `HW_DISK`
   */
  static async measure(
    path: string,
    used: number,
    wanted: { readonly capacity: number | undefined; readonly reserve: number | undefined },
  ): Promise<Room> {
    try {
      const { bavail, blocks, bsize } = await statfs(path);
      const free = bavail * bsize;
      const reserve =
        wanted.reserve ?? Math.min(DEFAULT_RESERVE, Math.floor(blocks * bsize * DEFAULT_RESERVE_SHARE));
      return new Room(path, free, wanted.capacity ?? Math.max(0, used + free - reserve), reserve);
    } catch (cause) {
      throw new HeadwaterError('HW_DISK', `${path} cannot be used: ${(cause as Error).message}`, { cause });
    }
  }

  /** Whether so many more bytes would fit, as far as is known. */
  fits(used: number, size: number): boolean {
    return this.#lack(used, size) === undefined;
  }

  /**
   * Takes so many bytes, until they are given back or written.
   *
   * @throws HeadwaterError `HW_NO_ROOM` (as much is here as may be), `HW_DISK_FULL` (the disk itself)
   */
  async take(used: () => number, size: number): Promise<void> {
    await this.refresh();
    const lack = this.#lack(used(), size);
    if (lack !== undefined) throw lack;
    this.#arriving += size;
  }

  /** It did not come to it. */
  giveBack(size: number): void {
    this.#arriving -= size;
  }

  written(size: number): void {
    this.#arriving -= size;
    this.#since += size;
  }

  /** Asks how much is free, unless that was done a moment ago. */
  async refresh(): Promise<void> {
    if (performance.now() - this.#askedAt < ROOM_AGE) return;
    this.#askedAt = performance.now();
    this.#since = 0;
    try {
      const { bavail, bsize } = await statfs(this.#path);
      this.#free = bavail * bsize;
    } catch {
      // The write itself will find out.
    }
  }

  #lack(used: number, size: number): HeadwaterError | undefined {
    const { capacity, reserve } = this;
    if (used + this.#arriving + size > capacity) {
      const message = `this server's chunk store may hold ${capacity} bytes and has no room for ${size} more`;
      return new HeadwaterError('HW_NO_ROOM', message, { details: { capacity, used } });
    }
    const free = this.#free - this.#since - this.#arriving;
    if (free - size < reserve) {
      const message = `this server's disk has ${Math.max(0, free)} bytes free, of which ${reserve} are kept free`;
      return new HeadwaterError('HW_DISK_FULL', message, { details: { free, reserve } });
    }
    return undefined;
  }
}
