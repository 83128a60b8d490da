import type { ServerResponse } from 'node:http';

import type { ByteRange } from '../core/ranges.ts';
import type { BlockPool } from './block-pool.ts';
import type { FairLimit, LimitedUser } from './fair-limit.ts';
import type { OpenedFile } from './store.ts';

/** How a body ended. */
export type BodyEnd =
  | { readonly how: 'sent' }
  /** The client went away, or the server was told to cut it off. */
  | { readonly how: 'cut' }
  /** `begun`: the head had been sent, so that the connection had to be cut; otherwise the answer is still open. */
  | { readonly how: 'changed'; readonly begun: boolean }
  | { readonly how: 'failed'; readonly begun: boolean; readonly error: Error };

export interface BodyOptions {
  readonly response: ServerResponse;
  readonly file: OpenedFile;
  readonly range: ByteRange;
  /** Writes the response's head. Called when the first bytes of the body are at hand. */
  readonly head: () => void;
  readonly pool: BlockPool;
  readonly limit: FairLimit | undefined;
  /** Called when bytes have been taken over by the kernel. */
  readonly onBytes: (bytes: number) => void;
  /** Called once, after the file and the blocks were given back. */
  readonly onEnd: (end: BodyEnd) => void;
}

interface Block {
  readonly memory: Buffer;
  /** Bytes in it that are not handed to the socket yet are those from `sent` to `filled`. */
  filled: number;
  sent: number;
}

/**
 * Sends one range of a file as the body of a response. Two pooled blocks: while one is written to
 * the socket the next is read, so that neither waits for the other. Owns the file and the blocks until `onEnd`.
 */
export class BodySender implements LimitedUser {
  readonly #options: BodyOptions;
  readonly #blockSize: number;
  /** Read and waiting for the socket, oldest first. */
  readonly #ready: Block[] = [];
  #spare: Block[] = [];
  #blocks = 0;
  /** Next byte to read, and bytes that are still to be handed to the socket. */
  #position: number;
  #left: number;
  #reading = false;
  #writing = false;
  #held = false;
  #begun = false;
  #closed = false;
  #end: BodyEnd | undefined;

  constructor(options: BodyOptions) {
    this.#options = options;
    this.#position = options.range.start;
    this.#left = options.range.end - options.range.start;
    this.#blockSize = options.pool.join(this.#left);
    options.limit?.join();
    this.#go();
  }

  /** Whether the client is what is waited for. */
  get waitsForClient(): boolean {
    return this.#writing;
  }

  /** Hands nothing more to the socket until `resume`. */
  pause(): void {
    this.#held = true;
    this.#options.limit?.forget(this);
  }

  resume(): void {
    this.#held = false;
    this.#go();
  }

  /** Hands nothing more to the socket and closes the connection. */
  cut(): void {
    if (this.#end !== undefined) return;
    this.#finish({ how: 'cut' });
    this.#disconnect();
  }

  /** The connection is closed: nothing reads the blocks' memory any more. */
  connectionClosed(): void {
    this.#closed = true;
    this.#writing = false;
    this.#finish({ how: 'cut' });
  }

  /** Hands up to `bytes` of the oldest block to the socket; gives how many. */
  granted(bytes: number): number {
    const block = this.#ready[0];
    if (block === undefined || this.#writing || this.#held || this.#end !== undefined) return 0;
    const length = Math.min(bytes, block.filled - block.sent);
    const part = block.memory.subarray(block.sent, block.sent + length);
    block.sent += length;
    this.#left -= length;
    this.#writing = true;
    const { response, head } = this.#options;
    if (!this.#begun) head();
    this.#begun = true;
    const done = () => this.#written(block, length);
    if (this.#left === 0) response.end(part, done);
    else response.write(part, done);
    return length;
  }

  #go(): void {
    if (this.#end !== undefined) return;
    this.#read();
    const block = this.#ready[0];
    if (block === undefined || this.#writing || this.#held) return;
    if (this.#options.limit === undefined) this.granted(block.filled - block.sent);
    else this.#options.limit.ask(this);
  }

  #read(): void {
    const { range, file, pool } = this.#options;
    if (this.#reading || this.#position >= range.end) return;
    let block = this.#spare.pop();
    if (block === undefined) {
      if (this.#blocks === 2) return;
      this.#blocks++;
      block = { memory: pool.take(this.#blockSize), filled: 0, sent: 0 };
    }
    const into = block;
    const length = Math.min(this.#blockSize, range.end - this.#position);
    this.#reading = true;
    file.read(into.memory, length, this.#position, (error, bytes) => {
      this.#reading = false;
      into.filled = bytes;
      into.sent = 0;
      if (this.#end !== undefined) {
        this.#spare.push(into);
        this.#release();
      } else if (error !== null) {
        this.#spare.push(into);
        this.#cut({ how: 'failed', begun: this.#begun, error });
      } else if (bytes === 0 || !file.unchanged()) {
        this.#spare.push(into);
        this.#cut({ how: 'changed', begun: this.#begun });
      } else {
        this.#position += bytes;
        this.#ready.push(into);
        this.#go();
      }
    });
  }

  #written(block: Block, length: number): void {
    // Also called, with an error, for what was still queued when the connection closed.
    if (this.#closed) return;
    this.#writing = false;
    this.#options.onBytes(length);
    if (block.sent === block.filled) {
      this.#ready.shift();
      this.#spare.push(block);
    }
    if (this.#left === 0) this.#finish({ how: 'sent' });
    else this.#go();
  }

  /** The head has promised more than was sent, so that no client takes what it got for the whole. */
  #cut(end: BodyEnd): void {
    this.#finish(end);
    if (this.#begun) this.#disconnect();
  }

  #disconnect(): void {
    const { socket } = this.#options.response;
    if (socket !== null) socket.destroy();
    else this.#options.response.destroy();
  }

  #finish(end: BodyEnd): void {
    if (this.#end === undefined) {
      this.#end = end;
      this.#options.limit?.forget(this);
      this.#options.limit?.leave();
    }
    this.#release();
  }

  /** Gives everything back once neither the kernel nor the thread pool works on a block. */
  #release(): void {
    if (this.#reading || this.#writing || this.#end === undefined || this.#blocks === 0) return;
    const { pool, file, onEnd } = this.#options;
    for (const block of [...this.#spare, ...this.#ready]) pool.give(block.memory);
    this.#spare = [];
    this.#ready.length = 0;
    this.#blocks = 0;
    pool.leave();
    file.close();
    onEnd(this.#end);
  }
}
