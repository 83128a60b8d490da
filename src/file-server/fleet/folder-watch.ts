import { watch, type FSWatcher } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';

import { HeadwaterError } from '../../core/errors.ts';
import { isServedSegment } from '../request-name.ts';
import { isFleetName, lookAt, readFolder } from './folder-walk.ts';
import type { Inventory, SeenFile } from './inventory.ts';
import { LOOK_DELAY, MOST_WATCHED, RESCAN_EVERY, RESCAN_SHARE } from './limits.ts';

/** Names that wait to be looked at; more are found by walking. */
const MOST_DIRTY = 10_000;

export interface FolderWatchOptions {
  /** Real paths. */
  readonly folders: readonly string[];
  readonly inventory: Inventory;
  /** Something new may have to be hashed. */
  readonly onSeen: () => void;
  readonly onFault: (error: HeadwaterError) => void;
  /** Milliseconds between walks, at least. */
  readonly rescanEvery?: number;
}

/**
 * Keeps the inventory in step with the folders. What the kernel tells (inotify, folder by folder) makes it quick; walking
 * everything now and then makes it true.
 */
export class FolderWatch {
  readonly #options: FolderWatchOptions;
  readonly #watchers = new Map<string, FSWatcher>();
  /** Names to look at, by folder. */
  readonly #dirty = new Map<string, Set<string>>();
  readonly #told = new Set<string>();
  #lookTimer: NodeJS.Timeout | undefined;
  #walkTimer: NodeJS.Timeout | undefined;
  #work: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: FolderWatchOptions) {
    this.#options = options;
  }

  /** Resolves after the first walk. */
  start(): Promise<void> {
    const { folders, inventory } = this.#options;
    for (const former of inventory.foldersExcept(folders)) this.#goneBelow(former, '');
    return this.#rescan();
  }

  /** Looks at a file again soon: somebody found it other than expected. */
  lookAgain(folder: string, name: string): void {
    if (this.#closed) return;
    const names = this.#dirty.get(folder) ?? new Set();
    if (names.size < MOST_DIRTY) names.add(name);
    this.#dirty.set(folder, names);
    this.#lookTimer ??= setTimeout(() => void this.#inTurn(() => this.#look()), LOOK_DELAY).unref();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#lookTimer);
    clearTimeout(this.#walkTimer);
    for (const watcher of this.#watchers.values()) watcher.close();
    await this.#work;
  }

  #rescan(): Promise<void> {
    return this.#inTurn(async () => {
      const begun = performance.now();
      try {
        for (const folder of this.#options.folders) await this.#walk(folder, '');
        this.#options.inventory.prune(Date.now());
      } finally {
        const took = performance.now() - begun;
        const wait = Math.max(this.#options.rescanEvery ?? RESCAN_EVERY, took * RESCAN_SHARE);
        if (!this.#closed) this.#walkTimer = setTimeout(() => void this.#rescan(), wait).unref();
      }
    });
  }

  /** One after the other: two walks at once would each take the other's half for gone. */
  #inTurn(work: () => Promise<void>): Promise<void> {
    const next = this.#work.then(async () => {
      if (this.#closed) return;
      try {
        await work();
      } catch (cause) {
        // What is known cannot be written down; walking finds again what was to be.
        if (cause instanceof HeadwaterError) this.#tell(cause);
        else this.#fault('HW_DISK', `a folder cannot be read: ${(cause as Error).message}`, cause);
      }
    });
    this.#work = next;
    return next;
  }

  async #look(): Promise<void> {
    this.#lookTimer = undefined;
    const dirty = [...this.#dirty];
    this.#dirty.clear();
    for (const [folder, names] of dirty) {
      for (const name of names) {
        if (this.#closed) return;
        const looked = await lookAt(folder, name);
        if (looked === 'folder') await this.#walk(folder, name);
        else if (looked === undefined) {
          this.#options.inventory.gone(folder, name, Date.now());
          this.#goneBelow(folder, name);
        } else this.#saw([looked]);
      }
    }
  }

  async #walk(folder: string, below: string): Promise<void> {
    const { inventory } = this.#options;
    const folders = [below];
    for (let each = folders.pop(); each !== undefined; each = folders.pop()) {
      if (this.#closed) return;
      // Before it is read: what comes in between is told of.
      this.#watch(folder, each);
      const content = await this.#read(folder, each);
      if (content === 'unknown') continue;
      if (content === undefined) {
        this.#unwatch(folder, each);
        this.#goneBelow(folder, each);
        continue;
      }
      for (const name of content.unnameable) this.#unnameable(folder, name);
      for (let start = 0; start < content.files.length; start += 256) {
        this.#saw(content.files.slice(start, start + 256));
        await turn();
      }
      const known = inventory.children(folder, each);
      for (const { name } of content.files) known.files.delete(name);
      for (const name of content.folders) known.folders.delete(name);
      inventory.together(() => {
        for (const name of known.files) inventory.gone(folder, name, Date.now());
      });
      for (const name of known.folders) this.#goneBelow(folder, name);
      folders.push(...content.folders);
      await turn();
    }
  }

  /** `unknown`: the disk failed, or descriptors ran out; what is known of the folder stays. */
  async #read(folder: string, below: string) {
    try {
      return await readFolder(folder, below);
    } catch (cause) {
      const { code = '', message } = cause as NodeJS.ErrnoException;
      this.#fault(code, `${join(folder, below)} cannot be read: ${message}`, cause);
      return 'unknown';
    }
  }

  #saw(files: readonly SeenFile[]): void {
    const { inventory, onSeen } = this.#options;
    let news = false;
    inventory.together(() => {
      for (const file of files) news = inventory.saw(file) || news;
    });
    if (news) onSeen();
  }

  #goneBelow(folder: string, below: string): void {
    const { inventory } = this.#options;
    for (;;) {
      const names = inventory.namesBelow(folder, below);
      if (names.length === 0) return;
      inventory.together(() => {
        for (const name of names) inventory.gone(folder, name, Date.now());
      });
    }
  }

  #watch(folder: string, below: string): void {
    const path = join(folder, below);
    if (this.#watchers.has(path) || this.#watchers.size >= MOST_WATCHED) return;
    try {
      const watcher = watch(path, { persistent: false }, (_, entry) => this.#changed(folder, below, entry));
      watcher.on('error', () => this.#unwatch(folder, below));
      this.#watchers.set(path, watcher);
    } catch (cause) {
      const { code = '', message } = cause as NodeJS.ErrnoException;
      if (code === 'ENOENT' || code === 'ENOTDIR') return;
      const every = Math.round((this.#options.rescanEvery ?? RESCAN_EVERY) / 1000);
      const more = `changes in it are found by walking, every ${every} s or more`;
      this.#fault(code, `${path} cannot be watched (${message}); ${more}`, cause);
    }
  }

  #unwatch(folder: string, below: string): void {
    const path = join(folder, below);
    this.#watchers.get(path)?.close();
    this.#watchers.delete(path);
  }

  #changed(folder: string, below: string, entry: string | null): void {
    if (entry === null || !isServedSegment(entry)) return;
    const name = below === '' ? entry : `${below}/${entry}`;
    if (isFleetName(name)) this.lookAgain(folder, name);
    else this.#unnameable(folder, name);
  }

  #unnameable(folder: string, name: string): void {
    const path = join(folder, name);
    this.#fault('HW_PATH', `${JSON.stringify(path)} cannot be the name of a file in a fleet: not served`);
  }

  #fault(kind: string, message: string, cause?: unknown): void {
    this.#tell(new HeadwaterError(kind === 'HW_PATH' ? 'HW_PATH' : 'HW_DISK', message, { cause }));
  }

  /** Once: walking meets it again and again. */
  #tell(error: HeadwaterError): void {
    if (this.#told.has(error.message) || this.#told.size > 1_000) return;
    this.#told.add(error.message);
    this.#options.onFault(error);
  }
}
