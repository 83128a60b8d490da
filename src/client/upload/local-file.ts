import { open, type FileHandle } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

import { HeadwaterError } from '../../core/errors.ts';
import { diskError } from '../storage/disk-error.ts';
import { YOUNG_FILE } from './limits.ts';

interface Stamp {
  readonly size: bigint;
  readonly mtimeNs: bigint;
}

/** A file that is being published: open, and held to what it was when it was opened. The one who opened it closes it. */
export class LocalFile {
  readonly path: string;
  readonly size: number;
  readonly #handle: FileHandle;
  readonly #stamp: Stamp;

  private constructor(path: string, handle: FileHandle, stamp: Stamp) {
    this.path = path;
    this.size = Number(stamp.size);
    this.#handle = handle;
    this.#stamp = stamp;
  }

  /** @throws HeadwaterError `HW_DISK` */
  static async open(path: string): Promise<LocalFile> {
    let handle: FileHandle;
    try {
      handle = await open(path, 'r');
    } catch (cause) {
      throw diskError(cause, 'read', path);
    }
    return LocalFile.of(path, handle);
  }

  /** Takes the handle over. @throws HeadwaterError `HW_DISK` */
  static async of(path: string, handle: FileHandle): Promise<LocalFile> {
    try {
      const { mtimeMs } = await handle.stat();
      if (Math.abs(Date.now() - mtimeMs) < YOUNG_FILE) await sleep(YOUNG_FILE);
      const stat = await handle.stat({ bigint: true });
      if (!stat.isFile()) throw new HeadwaterError('HW_DISK', `${path} is not a file`, { details: { path } });
      return new LocalFile(path, handle, stat);
    } catch (cause) {
      await handle.close();
      throw diskError(cause, 'read', path);
    }
  }

  get fd(): number {
    return this.#handle.fd;
  }

  /**
   * Fills `into` with the bytes from `position` on.
   *
   * @throws HeadwaterError `HW_DISK`, `HW_INPUT_CHANGED`
   */
  async read(into: Uint8Array, position: number): Promise<void> {
    for (let filled = 0; filled < into.length;) {
      let bytesRead: number;
      try {
        ({ bytesRead } = await this.#handle.read(into, filled, into.length - filled, position + filled));
      } catch (cause) {
        throw diskError(cause, 'read', this.path);
      }
      if (bytesRead === 0) throw this.changed();
      filled += bytesRead;
    }
  }

  /** @throws HeadwaterError `HW_INPUT_CHANGED` when it is not as it was when it was opened */
  async refuseChanged(): Promise<void> {
    const { size, mtimeNs } = await this.#handle.stat({ bigint: true });
    if (size !== this.#stamp.size || mtimeNs !== this.#stamp.mtimeNs) throw this.changed();
  }

  changed(): HeadwaterError {
    const message = `${this.path} changed while it was read; nothing was published`;
    return new HeadwaterError('HW_INPUT_CHANGED', message, { details: { path: this.path } });
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}
