import { createHash } from 'node:crypto';
import { closeSync, fdatasync, writev } from 'node:fs';
import { unlink } from 'node:fs/promises';
import { promisify } from 'node:util';

import { HeadwaterError } from '../../core/errors.ts';
import { diskError } from './chunk-folder.ts';
import { WRITE_BYTES } from './limits.ts';

const syncData = promisify(fdatasync);

export interface ChunkDraftOptions {
  readonly digest: string;
  readonly size: number;
  readonly path: string;
  readonly descriptor: number;
  /** Puts what is written, synced and right in its place. */
  readonly place: () => Promise<void>;
  /** Called once, when it has ended either way. */
  readonly onEnd: (stored: boolean) => void;
}

/**
 * A chunk on its way to the disk: hashed as it comes, written some at a time, in its place only when every byte is right and
 * synced. Owns its file until `store` or `drop` has ended.
 */
export class ChunkDraft {
  readonly #options: ChunkDraftOptions;
  readonly #hash = createHash('sha256');
  #bytes = 0;
  #parts: Buffer[] = [];
  /** To be called when they are written. */
  #done: (() => void)[] = [];
  #waiting = 0;
  #writing: Promise<void> | undefined;
  #position = 0;
  #failure: HeadwaterError | undefined;
  #closed = false;
  #ended = false;

  constructor(options: ChunkDraftOptions) {
    this.#options = options;
  }

  /** Why it cannot become one any more. */
  get failure(): HeadwaterError | undefined {
    return this.#failure;
  }

  /** Takes the next bytes over; false: `ready` says when there is room for more. */
  take(part: Buffer, done: () => void): boolean {
    if (this.#failure !== undefined || this.#ended) return true;
    this.#bytes += part.length;
    if (this.#bytes > this.#options.size) {
      this.#failure = wrong(`has more than the ${this.#options.size} bytes that were told`);
      return true;
    }
    this.#hash.update(part);
    this.#parts.push(part);
    this.#done.push(done);
    this.#waiting += part.length;
    if (this.#waiting < WRITE_BYTES) return true;
    if (this.#writing !== undefined) return false;
    this.#write();
    return true;
  }

  async ready(): Promise<void> {
    await this.#writing;
    if (this.#waiting >= WRITE_BYTES && this.#writing === undefined && this.#failure === undefined)
      this.#write();
  }

  /**
   * Nothing more comes: it is in its place when this resolves. Otherwise nothing of it is left.
   *
   * @throws HeadwaterError `HW_BAD_CHUNK`, `HW_DISK_FULL`, `HW_DISK`
   */
  async store(): Promise<void> {
    const { digest, size, descriptor, place } = this.#options;
    try {
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#bytes !== size) throw wrong(`has ${this.#bytes} bytes, not the ${size} that were told`);
      if (this.#hash.digest('hex') !== digest) throw wrong('does not match its digest');
      await this.#writing;
      if (this.#waiting > 0) this.#write();
      await this.#writing;
      // Set by a write meanwhile.
      const failure = this.failure;
      if (failure !== undefined) throw failure;
      await syncData(descriptor);
      this.#close();
      await place();
      this.#end(true);
    } catch (cause) {
      await this.drop();
      throw diskError('a chunk cannot be written', cause);
    }
  }

  /** Leaves nothing of it. */
  async drop(): Promise<void> {
    if (this.#ended) return;
    const { path } = this.#options;
    this.#failure ??= new HeadwaterError('HW_INTERRUPTED', 'the chunk was not sent to its end');
    await this.#writing;
    this.#parts = [];
    this.#close();
    await unlink(path).catch(() => undefined);
    this.#end(false);
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeSync(this.#options.descriptor);
  }

  #end(stored: boolean): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#options.onEnd(stored);
  }

  #write(): void {
    const parts = this.#parts;
    const bytes = this.#waiting;
    const done = this.#done;
    this.#parts = [];
    this.#done = [];
    this.#waiting = 0;
    this.#writing = writeAll(this.#options.descriptor, parts, bytes, this.#position).then(
      () => {
        this.#writing = undefined;
        for (const each of done) each();
      },
      (cause: unknown) => {
        this.#writing = undefined;
        this.#failure ??= diskError('a chunk cannot be written', cause);
      },
    );
    this.#position += bytes;
  }
}

/** One call as a rule; a disk that takes less than it was given gets the rest again. */
async function writeAll(descriptor: number, parts: Buffer[], bytes: number, position: number): Promise<void> {
  let left = bytes;
  let rest = parts;
  for (let at = position; left > 0;) {
    const written = await writeOnce(descriptor, rest, at);
    if (written === 0) throw new Error('the disk takes nothing');
    at += written;
    left -= written;
    if (left > 0) rest = [Buffer.concat(rest).subarray(written)];
  }
}

function writeOnce(descriptor: number, parts: Buffer[], position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    writev(descriptor, parts, position, (error, written) => {
      if (error === null) resolve(written);
      else reject(error);
    });
  });
}

/** Whoever sent it is wrong, not a source: he can send it again. */
function wrong(how: string): HeadwaterError {
  return new HeadwaterError('HW_BAD_CHUNK', `the chunk that was sent ${how}`, { details: { status: 400 } });
}
