import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';

import type { Bitmap } from '../../core/bitmap.ts';
import type { ChunkLayout } from '../../core/chunks.ts';
import { HeadwaterError } from '../../core/errors.ts';
import { canonicalManifest, type Manifest } from '../../core/manifest.ts';
import type { ByteRange } from '../../core/ranges.ts';
import { Digester } from '../digests/digester.ts';
import type { WholeDigest } from '../digests/whole-digest.ts';
import { fingerprint, randomBlocks } from '../spot-check.ts';
import type { Introduction, Source } from '../sources/source.ts';
import type { Extra } from '../storage/journal.ts';
import { openPartFile } from '../storage/open-part-file.ts';
import type { PartFile } from '../storage/part-file.ts';
import type { Content, Destination, Filler } from './destination.ts';
import { FileSink } from './file-sink.ts';
import { PiecePool } from './piece-pool.ts';
import type { Sink } from './sink.ts';
import { WriteQueue } from './write-queue.ts';

interface Options {
  readonly path: string;
  readonly layout: ChunkLayout;
  readonly manifest: Manifest | undefined;
  /** Digest of the whole, for the journal. */
  readonly sha256: string | undefined;
  /** The digest of the whole is to be computed. */
  readonly whole: boolean;
  readonly memory: number;
  readonly resume: boolean;
  readonly force: boolean;
}

/** A file, filled in any order under another name until it is whole. */
export class FileDestination implements Destination, Content {
  readonly output: string;
  readonly begun = false;
  readonly #options: Options;
  readonly #part: PartFile;
  readonly #digester: Digester;
  readonly #whole: WholeDigest | undefined;
  readonly #remembered: Remembered;
  readonly #queue: WriteQueue;
  readonly #pool: PiecePool;
  /** All chunks before this one are done. */
  #front = 0;

  private constructor(options: Options, part: PartFile, remembered: Remembered) {
    this.#options = options;
    this.#part = part;
    this.#remembered = remembered;
    this.output = part.output;
    this.#queue = new WriteQueue(part);
    this.#pool = new PiecePool(options.memory);
    this.#digester = new Digester(part.fd, { path: part.path });
    if (options.manifest !== undefined) this.#digester.warm();
    this.#whole = options.whole ? this.#digester.whole(options.layout.size) : undefined;
  }

  /** @throws HeadwaterError as `openPartFile` does */
  static async open(options: Options): Promise<FileDestination> {
    const { path: output, layout, manifest, sha256, resume, force } = options;
    const identity = {
      size: layout.size,
      ...(sha256 === undefined ? {} : { sha256 }),
      ...(manifest === undefined
        ? {}
        : { manifest: createHash('sha256').update(canonicalManifest(manifest)).digest('hex') }),
    };
    const remembered: Remembered = { validators: {} };
    const extra = (): Extra => ({ validators: remembered.validators });
    const part = await openPartFile({ output, identity, layout, resume, force, extra });
    return new FileDestination(options, part, remembered);
  }

  get done(): Bitmap {
    return this.#part.done;
  }

  get longestHedge(): number {
    return this.#pool.longestWhole;
  }

  get content(): Content {
    return this;
  }

  async prepare(sources: ReadonlyMap<Source, Introduction>, signal: AbortSignal): Promise<void> {
    const { resumed } = this.#part;
    if (resumed.likeness === 'unknown') await this.#recognise(sources, signal);
    for (const [source, { etag, lastModified }] of sources) {
      this.#remembered.validators[source.shown] = { etag, lastModified };
    }
    for (const chunk of resumed.doubtful) {
      const wanted = this.#options.manifest?.chunks[chunk];
      if (wanted !== undefined && (await this.chunkDigest(chunk)) === wanted) this.#part.markDone(chunk);
    }
    this.#advance();
  }

  /**
   * No digest says whether the earlier run's bytes are of this file. What a server said of itself then and now may;
   * otherwise random blocks of what is there are held against what a source sends.
   */
  async #recognise(sources: ReadonlyMap<Source, Introduction>, signal: AbortSignal): Promise<void> {
    const { layout } = this.#options;
    const parts: ByteRange[] = [];
    for (let chunk = 0; chunk < layout.count; chunk++) {
      if (this.done.has(chunk)) parts.push({ start: layout.start(chunk), end: layout.end(chunk) });
    }
    const before = readValidators(this.#part.resumed.extra);
    for (const [source, now] of sources) {
      const then = before[source.shown];
      if (
        then !== undefined &&
        (then.etag !== now.etag || (then.etag === undefined && then.lastModified !== now.lastModified))
      ) {
        return this.#changed(`${source.shown} has another ETag or date now`);
      }
    }
    const blocks = randomBlocks(parts);
    const hash = createHash('sha256');
    for (const block of blocks) hash.update(await this.read(block));
    const own = hash.digest('hex');
    let failure: unknown;
    for (const [source, introduction] of sources) {
      try {
        const theirs = await fingerprint(source, introduction, blocks, signal);
        if (theirs !== own)
          return await this.#changed(`${source.shown} sends other bytes than those that are there`);
        return;
      } catch (error) {
        if (error instanceof HeadwaterError && error.code === 'HW_FILE_CHANGED') throw error;
        failure = error;
      }
    }
    throw failure;
  }

  async #changed(how: string): Promise<void> {
    if (this.#options.force) return this.#part.reset();
    throw new HeadwaterError(
      'HW_FILE_CHANGED',
      `the file on the servers is not the one that ${this.#part.path} was begun with (${how}); that is kept, --force starts anew`,
      { details: { path: this.#part.path } },
    );
  }

  sink(filler: Filler): Sink {
    const { layout, manifest } = this.#options;
    return new FileSink({
      layout,
      book: this.#part,
      file: this.#queue,
      pool: this.#pool,
      digester: this.#digester,
      manifest,
      fail: (error) => filler.stop(error),
      moved: () => this.#advance(),
      reopened: (chunks) => {
        this.#front = Math.min(this.#front, ...chunks);
        this.#whole?.restart(layout.start(this.#front));
      },
    });
  }

  #advance(): void {
    while (this.done.has(this.#front)) this.#front++;
    this.#whole?.advance(this.#options.layout.start(this.#front));
  }

  digest(): Promise<string | undefined> {
    return this.#whole?.result() ?? Promise.resolve(undefined);
  }

  async read({ start, end }: ByteRange): Promise<Uint8Array> {
    const handle = await open(this.#part.path, 'r');
    try {
      const bytes = new Uint8Array(end - start);
      await handle.read(bytes, 0, bytes.length, start);
      return bytes;
    } finally {
      await handle.close();
    }
  }

  chunkDigest(chunk: number): Promise<string> {
    const { layout } = this.#options;
    return this.#digester.chunk(layout.start(chunk), layout.end(chunk));
  }

  async finish(): Promise<void> {
    await this.#digester.close();
    await this.#part.finish();
  }

  async close(): Promise<void> {
    await this.#digester.close();
    await this.#part.close();
  }
}

interface Validator {
  readonly etag: string | undefined;
  readonly lastModified: string | undefined;
}

/** What the journal remembers beside the bitmap. */
interface Remembered {
  readonly validators: Record<string, Validator>;
}

function readValidators(extra: Extra): Readonly<Record<string, Validator>> {
  const { validators } = extra;
  return typeof validators === 'object' && validators !== null
    ? (validators as Record<string, Validator>)
    : {};
}
