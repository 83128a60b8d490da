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
import { onDisk } from '../storage/disk-error.ts';
import type { Extra } from '../storage/journal.ts';
import { openPartFile } from '../storage/open-part-file.ts';
import type { PartFile } from '../storage/part-file.ts';
import type { Content, Destination, Filler } from './destination.ts';
import { FileSink } from './file-sink.ts';
import { PiecePool } from './piece-pool.ts';
import type { Sink } from './sink.ts';
import { WriteQueue } from './write-queue.ts';

/** Chunks of an earlier run that are looked at together: enough to keep the hash threads busy. */
const LOOKS_AT_ONCE = 8;

/** Milliseconds that sources have to send their blocks once the first has. */
const SAMPLE_GRACE = 2_000;

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
    const { likeness, doubtful } = this.#part.resumed;
    // A manifest says of each chunk whether it is right; without one only the sources can.
    const unknown = likeness === 'unknown' && this.#options.manifest === undefined;
    if (unknown && this.done.count > 0) await this.#recognise(sources, signal);
    for (const [source, { etag, lastModified }] of sources) {
      this.#remembered.validators[source.shown] = { etag, lastModified };
    }
    if (doubtful.length > 0) await this.#lookAgain(doubtful, signal);
    this.#advance();
  }

  /** Marks those chunks that are right after all. */
  async #lookAgain(doubtful: readonly number[], signal: AbortSignal): Promise<void> {
    const { manifest } = this.#options;
    const left = doubtful.values();
    const look = async (): Promise<void> => {
      for (const chunk of left) {
        signal.throwIfAborted();
        const wanted = manifest?.chunks[chunk];
        if (wanted !== undefined && (await this.chunkDigest(chunk)) === wanted) this.#part.markDone(chunk);
      }
    };
    await Promise.all(Array.from({ length: LOOKS_AT_ONCE }, look));
    if (this.done.count === 0 && manifest !== undefined && this.#part.resumed.likeness === 'unknown')
      return this.#changed('no chunk of it matches the manifest');
    // What is not marked may be written over from now on, so the journal must not call it done any more.
    await this.#part.flush();
  }

  /**
   * No digest says whether the earlier run's bytes are of this file. What a server said of itself then and now may, and
   * random blocks of what is there, held against what the sources send.
   */
  async #recognise(sources: ReadonlyMap<Source, Introduction>, signal: AbortSignal): Promise<void> {
    const before = readValidators(this.#part.resumed.extra);
    const changed: Source[] = [];
    const unchanged: Source[] = [];
    for (const [source, now] of sources) {
      const then = before[source.shown];
      if (then === undefined || (then.etag ?? then.lastModified) === undefined) continue;
      const same =
        then.etag === now.etag && (then.etag !== undefined || then.lastModified === now.lastModified);
      (same ? unchanged : changed).push(source);
    }
    const [other] = changed;
    if (other !== undefined && unchanged.length === 0)
      return this.#changed(`${other.shown} has another ETag or date now`);

    const { differ, agree, failure } = await this.#sample(sources, signal);
    const [odd] = differ;
    if (odd !== undefined && differ.length >= agree.length)
      return this.#changed(`${odd.shown} sends other bytes than those that are there`);
    if (agree.length === 0 && unchanged.length === 0) throw failure;
  }

  /** Whose bytes are those that are here, at places that nobody can predict. */
  async #sample(
    sources: ReadonlyMap<Source, Introduction>,
    signal: AbortSignal,
  ): Promise<{ differ: Source[]; agree: Source[]; failure: unknown }> {
    const { layout } = this.#options;
    const parts: ByteRange[] = [];
    for (let chunk = 0; chunk < layout.count; chunk++) {
      if (this.done.has(chunk)) parts.push({ start: layout.start(chunk), end: layout.end(chunk) });
    }
    const blocks = randomBlocks(parts);
    const hash = createHash('sha256');
    for (const block of blocks) hash.update(await this.read(block));
    const own = hash.digest('hex');
    const votes: { differ: Source[]; agree: Source[]; failure: unknown } = {
      differ: [],
      agree: [],
      failure: undefined,
    };
    const enough = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    const ask = async ([source, introduction]: [Source, Introduction]): Promise<void> => {
      try {
        const either = AbortSignal.any([signal, enough.signal]);
        const theirs = await fingerprint(source, introduction, blocks, either);
        (theirs === own ? votes.agree : votes.differ).push(source);
        // One answer is enough to go on from; the others have had time to give theirs.
        timer ??= setTimeout(() => enough.abort(), SAMPLE_GRACE);
      } catch (error) {
        votes.failure = error;
      }
    };
    await Promise.all([...sources].map(ask));
    clearTimeout(timer);
    return votes;
  }

  async #changed(how: string): Promise<void> {
    if (this.#options.force) return this.#part.reset();
    throw new HeadwaterError(
      'HW_FILE_CHANGED',
      `the file on the servers is not the one that ${this.#part.path} was begun with (${how}); that is kept, --force starts anew`,
      { details: { path: this.#part.path } },
    );
  }

  /** It has no name before it is finished. */
  holdBack(): void {}

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
    const { path } = this.#part;
    const handle = await onDisk(open(path, 'r'), 'read', path);
    try {
      const bytes = new Uint8Array(end - start);
      for (let at = 0; at < bytes.length;) {
        const { bytesRead } = await onDisk(
          handle.read(bytes, at, bytes.length - at, start + at),
          'read',
          path,
        );
        if (bytesRead === 0) throw new HeadwaterError('HW_DISK', `${path} has become shorter`);
        at += bytesRead;
      }
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
