import type { ContentStore, OpenedFile } from '../store.ts';
import { MOST_READ_AHEAD, READ_AHEAD_AGAIN, READ_AHEAD_BYTES } from './limits.ts';

const BLOCK_BYTES = 1024 * 1024;
/** Files whose reading ahead is remembered. */
const MOST_RECENT = 10_000;

/**
 * Reads the first chunks of files that will be asked for soon, so that they are in the page cache by then. One file at a
 * time, into one block that is thrown away, and not while more than a few answers are under way: those need the disk.
 */
export class ReadAhead {
  readonly #store: ContentStore;
  readonly #isBusy: () => boolean;
  readonly #queue: string[] = [];
  readonly #recent = new Map<string, number>();
  #work: Promise<void> | undefined;
  #block: Buffer | undefined;
  #closed = false;
  #bytes = 0;

  constructor(store: ContentStore, isBusy: () => boolean) {
    this.#store = store;
    this.#isBusy = isBusy;
  }

  /** Bytes read ahead since the start. */
  get bytes(): number {
    return this.#bytes;
  }

  want(manifest: string): void {
    const now = performance.now();
    const last = this.#recent.get(manifest);
    if (last !== undefined && now - last < READ_AHEAD_AGAIN) return;
    if (this.#queue.length >= MOST_READ_AHEAD || this.#isBusy()) return;
    this.#recent.delete(manifest);
    this.#recent.set(manifest, now);
    if (this.#recent.size > MOST_RECENT) {
      for (const [oldest] of this.#recent) {
        this.#recent.delete(oldest);
        break;
      }
    }
    this.#queue.push(manifest);
    this.#work ??= this.#run().finally(() => {
      this.#work = undefined;
      this.#block = undefined;
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#queue.length = 0;
    await this.#work;
  }

  async #run(): Promise<void> {
    for (let each = this.#queue.shift(); each !== undefined; each = this.#queue.shift()) {
      try {
        const content = await this.#store.openContent(each);
        if (content !== undefined) await this.#read(content.file);
      } catch {
        // The download itself will find out.
      }
    }
  }

  async #read(file: OpenedFile): Promise<void> {
    try {
      this.#block ??= Buffer.allocUnsafeSlow(BLOCK_BYTES);
      const end = Math.min(file.size, READ_AHEAD_BYTES);
      for (let position = 0; position < end && !this.#closed && !this.#isBusy(); position += BLOCK_BYTES) {
        const bytes = await readBlock(file, this.#block, position);
        if (bytes === 0) return;
        this.#bytes += bytes;
      }
    } finally {
      file.close();
    }
  }
}

/** Fills the block from there; gives how many bytes there were. */
export function readBlock(file: OpenedFile, block: Buffer, position: number, length = block.length) {
  return new Promise<number>((resolve, reject) => {
    file.read(block, length, position, (error, bytes) => {
      if (error === null) resolve(bytes);
      else reject(error);
    });
  });
}
