import { createHash } from 'node:crypto';

import { ChunkLayout } from '../../core/chunks.ts';
import { Digester } from '../digests/digester.ts';
import type { WholeDigest } from '../digests/whole-digest.ts';
import { HASHED_HERE, MOST_HASHING } from './limits.ts';
import type { LocalFile } from './local-file.ts';

/** A chunk as it was cut. */
export interface CutChunk {
  readonly index: number;
  /** SHA-256, lower-case hex. */
  readonly digest: string;
}

/** What cuts a file: threads for a large one; for a small one they would take longer to start than to work. */
export interface Cutting {
  readonly layout: ChunkLayout;
  /**
   * The chunks in order, while `room` resolves: it is asked before each of them.
   *
   * @throws HeadwaterError `HW_DISK`, `HW_INTERRUPTED`
   */
  chunks(room: () => Promise<void>): AsyncGenerator<CutChunk>;
  /** The digest of one chunk as it is now. */
  digest(index: number): Promise<string>;
  /** The digest of the whole, when all chunks have been asked for. */
  whole(): Promise<string>;
  close(): Promise<void>;
}

export function openCutting(file: LocalFile): Cutting {
  return file.size <= HASHED_HERE ? new SmallCutting(file) : new ThreadedCutting(file);
}

/** The digest of a whole file. @throws HeadwaterError `HW_DISK`, `HW_INTERRUPTED` */
export async function wholeDigest(file: LocalFile, signal: AbortSignal): Promise<string> {
  const digester = new Digester(file.fd, { path: file.path });
  const stop = (): void => void digester.close();
  signal.addEventListener('abort', stop, { once: true });
  try {
    const whole = digester.whole(file.size);
    whole.advance(file.size);
    return await whole.result();
  } finally {
    signal.removeEventListener('abort', stop);
    await digester.close();
  }
}

class SmallCutting implements Cutting {
  readonly layout: ChunkLayout;
  readonly #file: LocalFile;
  readonly #whole = createHash('sha256');

  constructor(file: LocalFile) {
    this.layout = new ChunkLayout(file.size);
    this.#file = file;
  }

  async *chunks(room: () => Promise<void>): AsyncGenerator<CutChunk> {
    for (let index = 0; index < this.layout.count; index++) {
      const bytes = await this.#read(index);
      this.#whole.update(bytes);
      yield { index, digest: sha256(bytes) };
      await room();
    }
  }

  async digest(index: number): Promise<string> {
    return sha256(await this.#read(index));
  }

  async whole(): Promise<string> {
    return this.#whole.digest('hex');
  }

  async close(): Promise<void> {
    // There is nothing to close.
  }

  async #read(index: number): Promise<Buffer> {
    const bytes = Buffer.allocUnsafe(this.layout.bytes(index));
    await this.#file.read(bytes, this.layout.start(index));
    return bytes;
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** The thread of the whole follows those of the chunks closely, so that the disk is read once. */
class ThreadedCutting implements Cutting {
  readonly layout: ChunkLayout;
  readonly #digester: Digester;
  readonly #whole: WholeDigest;

  constructor(file: LocalFile) {
    this.layout = new ChunkLayout(file.size);
    this.#digester = new Digester(file.fd, { path: file.path });
    this.#whole = this.#digester.whole(file.size);
    // Asked for in the end.
    this.#whole.result().catch(() => undefined);
  }

  async *chunks(room: () => Promise<void>): AsyncGenerator<CutChunk> {
    const { layout } = this;
    const depth = Math.max(2, Math.floor(MOST_HASHING / layout.chunkSize));
    const ahead: Promise<string>[] = [];
    let begun = 0;
    for (let index = 0; index < layout.count; index++) {
      for (; begun < layout.count && ahead.length < depth; begun++) {
        const digest = this.digest(begun);
        // Awaited in its turn, unless an earlier one fails.
        digest.catch(() => undefined);
        ahead.push(digest);
      }
      const digest = (await ahead.shift()) ?? '';
      this.#whole.advance(layout.end(index));
      yield { index, digest };
      await room();
    }
  }

  digest(index: number): Promise<string> {
    return this.#digester.chunk(this.layout.start(index), this.layout.end(index));
  }

  whole(): Promise<string> {
    return this.#whole.result();
  }

  async close(): Promise<void> {
    await this.#digester.close();
  }
}
