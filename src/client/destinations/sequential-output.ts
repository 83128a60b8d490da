import { constants } from 'node:fs';
import { open, rm, stat, type FileHandle } from 'node:fs/promises';
import type { Writable } from 'node:stream';

import { HeadwaterError } from '../../core/errors.ts';
import { onDisk, unlessMissing } from '../storage/disk-error.ts';
import type { FileLock } from '../storage/lock.ts';
import { lockOutput } from '../storage/open-part-file.ts';
import { giveName, refuseExisting } from '../storage/output-name.ts';
import { writeAt } from '../storage/positioned-write.ts';

/** Takes a file from front to end, when nobody says how long it is. */
export interface SequentialOutput {
  /** Path, or "-" for a stream. */
  readonly output: string;
  /** Bytes that it took. */
  readonly length: number;
  write(bytes: Uint8Array): Promise<void>;
  /** Drops all that came. @throws HeadwaterError `HW_SOURCES_LOST` when that is not possible */
  restart(): Promise<void>;
  /** Nothing more comes, and it is right. */
  finish(): Promise<void>;
  /** Frees everything; what is not finished is removed, since nothing could go on from it. */
  close(): Promise<void>;
}

export class SequentialStream implements SequentialOutput {
  readonly output = '-';
  length = 0;
  readonly #stream: Writable;

  constructor(stream: Writable) {
    this.#stream = stream;
  }

  write(bytes: Uint8Array): Promise<void> {
    this.length += bytes.length;
    // The memory is read into again as soon as the stream has taken it.
    return new Promise((resolve, reject) => {
      const broken = (cause: unknown): void =>
        reject(
          new HeadwaterError('HW_DISK', 'the output was closed before everything was written', { cause }),
        );
      if (!this.#stream.writable) return broken(this.#stream.errored);
      const closed = (): void => broken(this.#stream.errored);
      this.#stream.once('close', closed);
      this.#stream.write(Buffer.from(bytes), (error) => {
        this.#stream.off('close', closed);
        if (error === undefined || error === null) resolve();
        else broken(error);
      });
    });
  }

  async restart(): Promise<void> {
    if (this.length === 0) return;
    throw new HeadwaterError(
      'HW_SOURCES_LOST',
      'the only source broke off, and what it sent is in the output already',
    );
  }

  async finish(): Promise<void> {}

  async close(): Promise<void> {}
}

/** Fills `OUTPUT.hw-part` and gives it its name in the end. */
export class SequentialFile implements SequentialOutput {
  readonly output: string;
  length = 0;
  readonly #part: string;
  readonly #force: boolean;
  readonly #handle: FileHandle;
  readonly #lock: FileLock;
  #finished = false;

  private constructor(output: string, force: boolean, handle: FileHandle, lock: FileLock) {
    this.output = output;
    this.#part = partOf(output);
    this.#force = force;
    this.#handle = handle;
    this.#lock = lock;
  }

  /**
   * @throws HeadwaterError `HW_OUTPUT_EXISTS`, `HW_OUTPUT_BUSY`, `HW_DISK`; `HW_FILE_CHANGED` when a part file is there of
   * a download that knew how long the file was, and neither `force` nor a refusal to resume gives it up
   */
  static async open(
    output: string,
    { resume, force }: { readonly resume: boolean; readonly force: boolean },
  ): Promise<SequentialFile> {
    await refuseExisting(output, { force });
    const lock = await lockOutput(output);
    try {
      await refuseExisting(output, { force });
      const part = partOf(output);
      if (resume && !force && (await isThere(part))) {
        throw new HeadwaterError(
          'HW_FILE_CHANGED',
          `${part} is there, and nothing tells whether it is of this file, since its source does not say how long it is; --force starts anew`,
          { details: { path: part } },
        );
      }
      await onDisk(unlessMissing(rm(part)), 'remove', part);
      await onDisk(unlessMissing(rm(`${output}.hw-journal`)), 'remove', `${output}.hw-journal`);
      const flags = constants.O_RDWR | constants.O_NOFOLLOW | constants.O_CREAT | constants.O_EXCL;
      return new SequentialFile(output, force, await onDisk(open(part, flags, 0o666), 'create', part), lock);
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    const at = this.length;
    this.length += bytes.length;
    await onDisk(writeAt(this.#handle.fd, [bytes], at), 'write', this.#part);
  }

  async restart(): Promise<void> {
    this.length = 0;
    await onDisk(this.#handle.truncate(0), 'empty', this.#part);
  }

  async finish(): Promise<void> {
    await onDisk(this.#handle.datasync(), 'sync', this.#part);
    await giveName(this.#part, this.output, { force: this.#force });
    this.#finished = true;
  }

  async close(): Promise<void> {
    try {
      await this.#handle.close();
      if (!this.#finished) await onDisk(unlessMissing(rm(this.#part)), 'remove', this.#part);
    } finally {
      await this.#lock.release();
    }
  }
}

function partOf(output: string): string {
  return `${output}.hw-part`;
}

async function isThere(path: string): Promise<boolean> {
  try {
    return (await stat(path)).size > 0;
  } catch {
    return false;
  }
}
