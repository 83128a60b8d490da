import { read } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';

import type { ChunkLayout } from '../../core/chunks.ts';
import { HeadwaterError } from '../../core/errors.ts';
import type { FileDigests, OpenedFile } from '../store.ts';
import type { ChunkStore } from './chunk-store.ts';

interface OpenChunk {
  readonly chunk: number;
  readonly handle: FileHandle;
}

/** A file whose bytes lie in chunks, read as if it were one: what one chunk ends with the next goes on with. */
export class ChunkedFile implements OpenedFile {
  readonly name: string;
  readonly size: number;
  /** Not known, and of no use: what is found by its digest never changes. */
  readonly modified = Infinity;
  readonly digests: FileDigests | undefined = undefined;
  readonly digestsIn = 0;
  readonly #store: ChunkStore;
  readonly #layout: ChunkLayout;
  readonly #digestOf: (chunk: number) => string;
  #open: OpenChunk | undefined;
  /** Being opened while the one before is sent. */
  #next: { readonly chunk: number; readonly opening: Promise<OpenChunk> } | undefined;
  #closed = false;

  constructor(store: ChunkStore, name: string, layout: ChunkLayout, digestOf: (chunk: number) => string) {
    this.#store = store;
    this.name = name;
    this.size = layout.size;
    this.#layout = layout;
    this.#digestOf = digestOf;
  }

  async findDigests(): Promise<undefined> {
    return undefined;
  }

  read(
    block: Buffer,
    length: number,
    position: number,
    callback: (error: Error | null, bytes: number) => void,
  ): void {
    const chunk = this.#layout.at(position);
    if (position >= this.size) return callback(null, 0);
    if (this.#open?.chunk === chunk) return this.#read(this.#open, block, length, position, callback);
    void this.#turnAndRead(chunk, block, length, position, callback);
  }

  unchanged(): boolean {
    return true;
  }

  close(): void {
    this.#closed = true;
    void this.#open?.handle.close();
    this.#open = undefined;
    const next = this.#next;
    this.#next = undefined;
    void next?.opening.then(
      ({ handle }) => handle.close(),
      () => undefined,
    );
  }

  #read(
    { chunk, handle }: OpenChunk,
    block: Buffer,
    length: number,
    position: number,
    callback: (error: Error | null, bytes: number) => void,
  ): void {
    const within = position - this.#layout.start(chunk);
    const here = Math.min(length, this.#layout.end(chunk) - position);
    // The block goes on in the next chunk: by then it should be open.
    if (within + here === this.#layout.bytes(chunk) && here < length) this.#prepare(chunk + 1);
    read(handle.fd, block, 0, here, within, (error, bytes) => {
      if (error === null && bytes === 0) callback(notHere(), 0);
      else callback(error, bytes);
    });
    if (here === length && within + 2 * length >= this.#layout.bytes(chunk)) this.#prepare(chunk + 1);
  }

  async #turnAndRead(
    chunk: number,
    block: Buffer,
    length: number,
    position: number,
    callback: (error: Error | null, bytes: number) => void,
  ): Promise<void> {
    let open: OpenChunk;
    try {
      open = await this.#turnTo(chunk);
    } catch (error) {
      callback(error as Error, 0);
      return;
    }
    this.#read(open, block, length, position, callback);
  }

  async #turnTo(chunk: number): Promise<OpenChunk> {
    const next = this.#next;
    this.#next = undefined;
    let opening: Promise<OpenChunk>;
    if (next?.chunk === chunk) opening = next.opening;
    else {
      void next?.opening.then(
        ({ handle }) => handle.close(),
        () => undefined,
      );
      opening = this.#openChunk(chunk);
    }
    const open = await opening;
    if (this.#closed) {
      await open.handle.close();
      throw notHere();
    }
    void this.#open?.handle.close();
    this.#open = open;
    return open;
  }

  #prepare(chunk: number): void {
    if (chunk >= this.#layout.count || this.#next !== undefined) return;
    const opening = this.#openChunk(chunk);
    opening.catch(() => undefined);
    this.#next = { chunk, opening };
  }

  async #openChunk(chunk: number): Promise<OpenChunk> {
    const opened = await this.#store.open(this.#digestOf(chunk));
    if (opened === undefined) throw notHere();
    if (opened.size === this.#layout.bytes(chunk)) return { chunk, handle: opened.handle };
    await opened.handle.close();
    throw notHere();
  }
}

function notHere(): HeadwaterError {
  return new HeadwaterError('HW_NOT_HERE', 'a chunk that was here is not any more');
}
