import { HeadwaterError } from '../../core/errors.ts';
import type { HashThread } from './hash-thread.ts';

/** Bytes that are hashed in one go: what a restart has to wait for. */
const STEP = 32 * 1024 * 1024;

/** The digest of a whole file, computed while its front grows. Made by `Digester.whole`. */
export class WholeDigest {
  readonly #fd: number;
  readonly #size: number;
  readonly #thread: HashThread;
  #front = 0;
  #hashed = 0;
  /** Counts restarts, so that what was under way at a restart is told from what came after. */
  #round = 0;
  #stepping = false;
  #digest: string | undefined;
  #failure: unknown;
  #waiting: { resolve: (digest: string) => void; reject: (error: unknown) => void }[] = [];

  constructor(fd: number, size: number, thread: HashThread) {
    this.#fd = fd;
    this.#size = size;
    this.#thread = thread;
    this.#step();
  }

  /** Bytes that have gone into the digest. */
  get hashed(): number {
    return this.#hashed;
  }

  /** Bytes [0, `front`) are written and final. A front behind an earlier one is ignored. */
  advance(front: number): void {
    this.#front = Math.max(this.#front, Math.min(front, this.#size));
    this.#step();
  }

  /** Bytes behind the front have changed: begins anew, with a front of `front` bytes. */
  restart(front: number = 0): void {
    this.#round++;
    this.#front = Math.min(front, this.#size);
    this.#hashed = 0;
    this.#digest = undefined;
    this.#step();
  }

  /**
   * The digest, lower-case hex, once the front has come to the end of the file; after a restart, the new one.
   *
   * @throws HeadwaterError `HW_DISK` when the file cannot be read; `HW_INTERRUPTED` when the digester is closed
   */
  async result(): Promise<string> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#digest !== undefined) return this.#digest;
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  /** Ends the wait of whoever waits. */
  stop(): void {
    this.#fail(new HeadwaterError('HW_INTERRUPTED', 'hashing was stopped'));
  }

  #step(): void {
    if (this.#stepping || this.#failure !== undefined || this.#digest !== undefined) return;
    const start = this.#hashed;
    const end = Math.min(this.#front, start + STEP);
    const last = end === this.#size;
    if (start === end && !last) return;
    const round = this.#round;
    this.#stepping = true;
    this.#thread.run({ kind: last ? 'last-step' : 'step', fd: this.#fd, start, end }).then(
      (digest) => {
        this.#stepping = false;
        if (round === this.#round) {
          this.#hashed = end;
          if (last) this.#done(digest);
        }
        this.#step();
      },
      (error: unknown) => this.#fail(error),
    );
  }

  #done(digest: string): void {
    this.#digest = digest;
    for (const each of this.#waiting) each.resolve(digest);
    this.#waiting = [];
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    for (const each of this.#waiting) each.reject(this.#failure);
    this.#waiting = [];
  }
}
