import { createHash } from 'node:crypto';

import { HeadwaterError } from '../../core/errors.ts';
import { canonicalManifest, type Manifest } from '../../core/manifest.ts';
import { HASHING_IDLE, SETTLE_TIME } from '../limits.ts';
import type { FileDigests } from '../store.ts';
import type { DigestCache } from './digest-cache.ts';
import { lastTouched, sameIdentity, type FileIdentity } from './file-identity.ts';
import { HashingPair } from './hashing-pair.ts';

/** Bytes a second that are assumed until something was measured. */
const FIRST_GUESS = 500_000_000;

/** How far hashing is. */
export interface HashingState {
  /** Files known, and those among them whose digests are known or could not be found out. */
  readonly files: number;
  readonly filesDone: number;
  /** Bytes to hash in this run, files found in the cache left out, and how many are done. */
  readonly bytes: number;
  readonly bytesDone: number;
}

interface Task {
  readonly path: string;
  readonly identity: FileIdentity;
  readonly done: PromiseWithResolvers<FileDigests | undefined>;
  urgent: boolean;
  pair: HashingPair | undefined;
}

export interface DigestServiceOptions {
  /** Undefined: nothing is kept. */
  readonly cache: DigestCache | undefined;
  /** Files hashed at once when nothing is urgent. */
  readonly atOnce: number;
  /** Told of faults nothing else shows: an unreadable file, a cache that cannot be written. */
  readonly onFault: (error: unknown) => void;
}

/**
 * Finds out digests: from what it knows, from the cache, or by reading the file. What a request waits for goes before
 * everything else, and work that nobody waits for rests meanwhile.
 */
export class DigestService {
  readonly #options: DigestServiceOptions;
  readonly #known = new Map<string, { identity: FileIdentity; digests: FileDigests }>();
  /** Waiting or running, by path; the latest where a file changed while it was hashed. */
  readonly #tasks = new Map<string, Task>();
  readonly #running = new Set<Task>();
  readonly #idle: HashingPair[] = [];
  readonly #pairs = new Set<HashingPair>();
  #queue: Task[] = [];
  #idleTimer: NodeJS.Timeout | undefined;
  #rate = FIRST_GUESS;
  #bytes = 0;
  #bytesDone = 0;
  #failed = 0;
  #closed = false;

  constructor(options: DigestServiceOptions) {
    this.#options = options;
  }

  get state(): HashingState {
    let bytesDone = this.#bytesDone;
    for (const { pair } of this.#running) bytesDone += pair?.bytesRead ?? 0;
    const filesDone = this.#known.size + this.#failed;
    return { files: filesDone + this.#tasks.size, filesDone, bytes: this.#bytes, bytesDone };
  }

  /** The digests of the file in that state, when they are at hand. */
  known(path: string, identity: FileIdentity): FileDigests | undefined {
    const known = this.#known.get(path);
    return known !== undefined && sameIdentity(known.identity, identity) ? known.digests : undefined;
  }

  /**
   * Finds the digests out; undefined when the file changed meanwhile, cannot be read, or the service was closed.
   * `urgent`: somebody waits.
   */
  find(path: string, identity: FileIdentity, urgent: boolean): Promise<FileDigests | undefined> {
    const known = this.known(path, identity);
    if (known !== undefined) return Promise.resolve(known);
    let task = this.#tasks.get(path);
    if (task !== undefined && sameIdentity(task.identity, identity)) {
      if (urgent) this.#hurry(task);
      return task.done.promise;
    }
    if (this.#closed) return Promise.resolve(undefined);
    task = { path, identity, done: Promise.withResolvers(), urgent, pair: undefined };
    this.#tasks.set(path, task);
    void this.#begin(task);
    return task.done.promise;
  }

  /** Seconds until the digests of that file are likely to be known. */
  secondsUntil(path: string): number {
    const task = this.#tasks.get(path);
    if (task === undefined) return 0;
    let bytes = task.identity.size - (task.pair?.bytesRead ?? 0);
    // Whatever else somebody waits for shares the machine with it.
    for (const other of this.#tasks.values()) {
      if (other !== task && other.urgent) bytes += other.identity.size - (other.pair?.bytesRead ?? 0);
    }
    return bytes / this.#rate;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#idleTimer);
    this.#queue = [];
    for (const task of this.#tasks.values()) task.done.resolve(undefined);
    this.#tasks.clear();
    await Promise.all([...this.#pairs].map((pair) => pair.close()));
  }

  async #begin(task: Task): Promise<void> {
    const manifest = await this.#options.cache?.load(task.path, task.identity);
    if (this.#closed) return;
    if (manifest !== undefined) {
      this.#settle(task, manifest);
      return;
    }
    this.#bytes += task.identity.size;
    if (task.urgent) this.#queue.unshift(task);
    else this.#queue.push(task);
    this.#dispatch();
  }

  #hurry(task: Task): void {
    if (task.urgent) return;
    task.urgent = true;
    const place = this.#queue.indexOf(task);
    if (place > 0) this.#queue.unshift(...this.#queue.splice(place, 1));
    this.#dispatch();
  }

  #dispatch(): void {
    for (;;) {
      const task = this.#queue[0];
      if (task === undefined || !this.#mayStart(task)) break;
      this.#queue.shift();
      void this.#run(task);
    }
    const running = [...this.#running];
    const somebodyWaits = running.some((each) => each.urgent);
    for (const { pair, urgent } of running) if (pair !== undefined) pair.resting = somebodyWaits && !urgent;
  }

  /** Urgent work counts only other urgent work: the rest makes room by resting. */
  #mayStart(task: Task): boolean {
    const counted = [...this.#running].filter((each) => each.urgent || !task.urgent);
    return counted.length < this.#options.atOnce;
  }

  async #run(task: Task): Promise<void> {
    clearTimeout(this.#idleTimer);
    const pair = this.#idle.pop() ?? this.#newPair();
    task.pair = pair;
    this.#running.add(task);
    try {
      await this.#settled(task.identity);
      const begun = performance.now();
      const manifest = this.#closed ? 'changed' : await pair.digest(task);
      if (manifest !== 'changed') {
        this.#measure(task.identity.size, performance.now() - begun);
        await this.#keep(task, manifest);
      }
      this.#idle.push(pair);
      this.#end(task, manifest);
    } catch (error) {
      if (!(error instanceof HeadwaterError && error.code === 'HW_DISK')) {
        this.#pairs.delete(pair);
        await pair.close();
      } else {
        this.#idle.push(pair);
      }
      if (this.#closed) return;
      this.#failed++;
      this.#options.onFault(error);
      this.#end(task, 'changed');
    }
  }

  #end(task: Task, manifest: Manifest | 'changed'): void {
    if (this.#closed) return;
    task.pair = undefined;
    this.#running.delete(task);
    this.#bytesDone += task.identity.size;
    this.#settle(task, manifest);
    this.#dispatch();
    if (this.#tasks.size === 0) this.#idleTimer = setTimeout(() => this.#dismiss(), HASHING_IDLE).unref();
  }

  #settle(task: Task, manifest: Manifest | 'changed'): void {
    if (this.#tasks.get(task.path) === task) this.#tasks.delete(task.path);
    if (manifest === 'changed') {
      task.done.resolve(undefined);
      return;
    }
    const manifestText = canonicalManifest(manifest);
    const manifestSha256 = createHash('sha256').update(manifestText).digest('hex');
    const digests: FileDigests = { sha256: manifest.sha256, manifestText, manifestSha256 };
    this.#known.set(task.path, { identity: task.identity, digests });
    task.done.resolve(digests);
  }

  async #keep(task: Task, manifest: Manifest): Promise<void> {
    try {
      await this.#options.cache?.save(task.path, task.identity, manifest);
    } catch (error) {
      this.#options.onFault(
        new HeadwaterError('HW_DISK', `the digests of ${task.path} cannot be kept in the cache`, {
          cause: error,
        }),
      );
    }
  }

  #measure(bytes: number, milliseconds: number): void {
    if (bytes > 8 * 1024 * 1024) this.#rate = (bytes / milliseconds) * 1000;
  }

  /** Waits until another change of the file could be told from its last one. */
  async #settled(identity: FileIdentity): Promise<void> {
    const age = Date.now() - lastTouched(identity);
    if (age < 0 || age >= SETTLE_TIME) return;
    await new Promise((resolve) => {
      setTimeout(resolve, SETTLE_TIME - age);
    });
  }

  #newPair(): HashingPair {
    const pair = new HashingPair();
    this.#pairs.add(pair);
    return pair;
  }

  #dismiss(): void {
    for (const pair of this.#idle.splice(0)) {
      this.#pairs.delete(pair);
      void pair.close();
    }
  }
}
