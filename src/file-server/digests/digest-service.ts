import { createHash } from 'node:crypto';

import { HeadwaterError } from '../../core/errors.ts';
import { canonicalManifest, type Manifest } from '../../core/manifest.ts';
import { CACHE_READS, SETTLE_TIME, URGENT_HASHED_AT_ONCE } from '../limits.ts';
import type { FileDigests, Setback } from '../store.ts';
import type { DigestCache } from './digest-cache.ts';
import { lastTouched, sameIdentity, type FileIdentity } from './file-identity.ts';
import type { HashingPair } from './hashing-pair.ts';
import { HashingPairs } from './hashing-pairs.ts';
import { Setbacks } from './setbacks.ts';
import { Turnstile } from './turnstile.ts';

/** Bytes a second that are assumed until something was measured. */
const FIRST_GUESS = 500_000_000;
/** What is smaller says nothing about the rate, bytes. */
const LEAST_MEASURED = 8 * 1024 * 1024;

/** How far hashing is. */
export interface HashingState {
  /** Files known, and those among them whose digests are known or could not be found out. */
  readonly files: number;
  readonly filesDone: number;
  /** Bytes to hash in this run, files found in the cache left out, and how many are done. */
  readonly bytes: number;
  readonly bytesDone: number;
}

/** `changed`: the file is no longer in that state. A setback: it cannot be hashed now, and the fault was told. */
export type Found = FileDigests | Setback | 'changed' | 'closed';

interface Task {
  readonly path: string;
  readonly identity: FileIdentity;
  readonly size: number;
  readonly found: PromiseWithResolvers<Found>;
  urgent: boolean;
  pair: HashingPair | undefined;
}

export interface DigestServiceOptions {
  /** Undefined: nothing is kept. */
  readonly cache: Pick<DigestCache, 'load' | 'save'> | undefined;
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
  readonly #paths = new Set<string>();
  /** Waiting or running, by path; the latest where a file changed while it was hashed. */
  readonly #tasks = new Map<string, Task>();
  readonly #running = new Set<Task>();
  readonly #queue: Task[] = [];
  readonly #pairs = new HashingPairs();
  readonly #setbacks = new Setbacks();
  readonly #cacheReads = new Turnstile(CACHE_READS);
  #rate = FIRST_GUESS;
  #bytes = 0;
  #bytesDone = 0;
  #cacheFault = false;
  #closed = false;

  constructor(options: DigestServiceOptions) {
    this.#options = options;
  }

  get state(): HashingState {
    let bytesDone = this.#bytesDone;
    for (const { pair } of this.#running) bytesDone += pair?.bytesRead ?? 0;
    const files = this.#paths.size;
    return { files, filesDone: files - this.#tasks.size, bytes: this.#bytes, bytesDone };
  }

  /** The digests of the file in that state, when they are at hand. */
  known(path: string, identity: FileIdentity): FileDigests | undefined {
    const known = this.#known.get(path);
    return known !== undefined && sameIdentity(known.identity, identity) ? known.digests : undefined;
  }

  /** Finds the digests out. `urgent`: somebody waits. */
  find(path: string, identity: FileIdentity, urgent: boolean): Promise<Found> {
    const known = this.known(path, identity);
    if (known !== undefined) return Promise.resolve(known);
    const before = this.#tasks.get(path);
    if (before !== undefined && sameIdentity(before.identity, identity)) {
      if (urgent) this.#hurry(before);
      return before.found.promise;
    }
    if (this.#closed) return Promise.resolve('closed');
    const setback = this.#setbacks.of(path, identity);
    if (setback !== undefined) return Promise.resolve(setback);
    const size = Number(identity.size);
    const task: Task = { path, identity, size, found: Promise.withResolvers(), urgent, pair: undefined };
    this.#paths.add(path);
    this.#tasks.set(path, task);
    void this.#begin(task);
    return task.found.promise;
  }

  /** Seconds until the digests of that file are likely to be known. */
  secondsUntil(path: string): number {
    const task = this.#tasks.get(path);
    if (task === undefined) return 0;
    let bytes = bytesLeft(task);
    // Whatever else somebody waits for shares the machine with it.
    for (const other of this.#tasks.values()) if (other !== task && other.urgent) bytes += bytesLeft(other);
    return bytes / this.#rate;
  }

  /** Keeps nothing of that file in memory any more: somebody else does. */
  forget(path: string): void {
    this.#known.delete(path);
    this.#setbacks.forget(path);
    if (!this.#tasks.has(path)) this.#paths.delete(path);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#queue.length = 0;
    for (const task of this.#tasks.values()) task.found.resolve('closed');
    this.#tasks.clear();
    await this.#pairs.close();
  }

  async #begin(task: Task): Promise<void> {
    const { cache } = this.#options;
    const load = () => cache?.load(task.path, task.identity) ?? Promise.resolve(undefined);
    const manifest = await (task.urgent ? load() : this.#cacheReads.run(load));
    if (this.#closed) return;
    if (manifest !== undefined) {
      this.#settle(task, manifest);
      return;
    }
    this.#bytes += task.size;
    this.#enqueue(task);
    this.#dispatch();
  }

  #hurry(task: Task): void {
    if (task.urgent) return;
    task.urgent = true;
    const place = this.#queue.indexOf(task);
    if (place >= 0) {
      this.#queue.splice(place, 1);
      this.#enqueue(task);
    }
    this.#dispatch();
  }

  /** Behind what is urgent, and before what is not when it is urgent itself. */
  #enqueue(task: Task): void {
    const place = task.urgent ? this.#queue.findIndex((each) => !each.urgent) : -1;
    this.#queue.splice(place < 0 ? this.#queue.length : place, 0, task);
  }

  #dispatch(): void {
    for (let task = this.#queue[0]; task !== undefined && this.#mayStart(task); task = this.#queue[0]) {
      this.#queue.shift();
      void this.#run(task);
    }
    const running = [...this.#running];
    const somebodyWaits = running.some((each) => each.urgent);
    for (const { pair, urgent } of running) if (pair !== undefined) pair.resting = somebodyWaits && !urgent;
  }

  /** Urgent work counts only other urgent work, for the rest makes room by resting. */
  #mayStart({ urgent }: Task): boolean {
    if (!urgent) return this.#running.size < this.#options.atOnce;
    return [...this.#running].filter((each) => each.urgent).length < URGENT_HASHED_AT_ONCE;
  }

  async #run(task: Task): Promise<void> {
    this.#running.add(task);
    const result = await this.#digest(task);
    if (typeof result === 'object' && 'version' in result) await this.#keep(task, result);
    if (this.#closed) return;
    task.pair = undefined;
    this.#running.delete(task);
    this.#bytesDone += task.size;
    this.#settle(task, result);
    this.#dispatch();
  }

  async #digest(task: Task): Promise<Manifest | Setback | 'changed'> {
    const { rest } = this.#pairs;
    if (rest !== undefined) return rest;
    try {
      const pair = this.#pairs.take();
      task.pair = pair;
      try {
        await settled(task.identity);
        const begun = performance.now();
        const result = await pair.digest(task);
        if (result !== 'changed') this.#measure(task.size, performance.now() - begun);
        return result;
      } finally {
        this.#pairs.giveBack(pair);
      }
    } catch (cause) {
      const error =
        cause instanceof HeadwaterError
          ? cause
          : new HeadwaterError('HW_INTERNAL', `hashing ${task.path} failed`, { cause });
      if (!this.#closed) this.#options.onFault(error);
      return this.#setbacks.add(task.path, task.identity, error);
    }
  }

  #settle(task: Task, result: Manifest | Setback | 'changed'): void {
    if (this.#tasks.get(task.path) === task) this.#tasks.delete(task.path);
    if (typeof result === 'string' || 'error' in result) {
      task.found.resolve(result);
      return;
    }
    this.#setbacks.forget(task.path);
    const manifestText = canonicalManifest(result);
    const manifestSha256 = createHash('sha256').update(manifestText).digest('hex');
    const digests: FileDigests = { sha256: result.sha256, manifestText, manifestSha256 };
    this.#known.set(task.path, { identity: task.identity, digests });
    task.found.resolve(digests);
  }

  async #keep(task: Task, manifest: Manifest): Promise<void> {
    try {
      await this.#options.cache?.save(task.path, task.identity, manifest);
    } catch (cause) {
      // What hinders one hinders all: once is enough.
      if (this.#cacheFault) return;
      this.#cacheFault = true;
      const message = `the digests of ${task.path} cannot be kept in the cache; it will be read again next time`;
      this.#options.onFault(new HeadwaterError('HW_DISK', message, { cause }));
    }
  }

  #measure(bytes: number, milliseconds: number): void {
    if (bytes >= LEAST_MEASURED) this.#rate = (bytes / milliseconds) * 1000;
  }
}

function bytesLeft({ size, pair }: Task): number {
  return size - (pair?.bytesRead ?? 0);
}

/** Waits until another change of the file could be told from its last one. */
async function settled(identity: FileIdentity): Promise<void> {
  const age = Date.now() - lastTouched(identity);
  if (age < 0 || age >= SETTLE_TIME) return;
  await new Promise((resolve) => {
    setTimeout(resolve, SETTLE_TIME - age);
  });
}
