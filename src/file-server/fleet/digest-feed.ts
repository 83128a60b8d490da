import { HeadwaterError } from '../../core/errors.ts';
import { parseManifest } from '../../core/manifest.ts';
import type { DigestService } from '../digests/digest-service.ts';
import { identityOfText } from '../digests/file-identity.ts';
import type { Inventory, SeenFile } from './inventory.ts';
import {
  HINDERED_WAIT,
  MOST_FINDING,
  MOST_SETBACK_WAIT,
  SMALL_AT_ONCE,
  SMALL_FILE,
  STABLE_AFTER,
} from './limits.ts';
import { digestSmallFile } from './small-file.ts';

export interface DigestFeedOptions {
  readonly inventory: Inventory;
  readonly digests: DigestService;
  /** The file is another than the inventory says. */
  readonly onChanged: (file: SeenFile) => void;
  /** A large file was hashed, or could not be. */
  readonly onTried: (file: SeenFile) => void;
  /** Nothing is left to hash now. */
  readonly onIdle: () => void;
  readonly onFault: (error: HeadwaterError) => void;
}

/**
 * Has files hashed that are new, the newest first: small ones some at a time, by themselves; large ones by threads. However
 * many there are, only those under way are in memory. What is known by the end of the process stays known; a file whose
 * reading was interrupted is read again from its beginning, for the state of a digest of the whole cannot be kept.
 */
export class DigestFeed {
  readonly #options: DigestFeedOptions;
  readonly #running = new Map<string, SeenFile>();
  /** Since when files with a time of now or later are as they are, `performance.now()`. */
  readonly #since = new Map<string, { readonly state: string; readonly at: number }>();
  readonly #told = new Set<string>();
  #small: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #bytesRead = 0;
  #closed = false;

  constructor(options: DigestFeedOptions) {
    this.#options = options;
  }

  /** Bytes of small files that were hashed. */
  get bytesRead(): number {
    return this.#bytesRead;
  }

  /** There may be something to do. */
  readonly feed = (): void => {
    clearTimeout(this.#timer);
    if (this.#closed) return;
    try {
      const wait = this.#feed(Date.now());
      if (wait !== undefined) this.#timer = setTimeout(this.feed, wait).unref();
    } catch (error) {
      this.#hindered(error);
    }
  };

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#small;
  }

  /** Milliseconds until there is something to do; undefined: nobody knows of any. */
  #feed(now: number): number | undefined {
    this.#feedSmall(now);
    this.#feedLarge(now);
    const next = this.#options.inventory.nextRetry(now);
    // A clock that was set back must not make it wait for years.
    if (next !== undefined) return Math.min(60_000, Math.max(50, next - now));
    if (this.#running.size === 0 && this.#small === undefined) this.#options.onIdle();
    return undefined;
  }

  /** What is known cannot be written down now. */
  #hindered(error: unknown): void {
    if (this.#closed) return;
    const message = error instanceof Error ? error.message : String(error);
    if (!this.#told.has(message) && this.#told.size < 1_000) {
      this.#told.add(message);
      this.#options.onFault(
        error instanceof HeadwaterError
          ? error
          : new HeadwaterError('HW_INTERNAL', message, { cause: error }),
      );
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.feed, HINDERED_WAIT).unref();
  }

  #feedSmall(now: number): void {
    if (this.#small !== undefined) return;
    const { inventory } = this.#options;
    const files = inventory
      .pending(now, SMALL_AT_ONCE, 0, SMALL_FILE)
      .filter((each) => this.#isReady(each, now));
    if (files.length === 0) return;
    this.#small = this.#hashSmall(files).then(
      () => {
        this.#small = undefined;
        this.feed();
      },
      (error: unknown) => {
        this.#small = undefined;
        this.#hindered(error);
      },
    );
  }

  #feedLarge(now: number): void {
    const { inventory } = this.#options;
    if (this.#running.size >= MOST_FINDING) return;
    for (const file of inventory.pending(now, MOST_FINDING * 2, SMALL_FILE + 1, Number.MAX_SAFE_INTEGER)) {
      if (this.#running.size >= MOST_FINDING) return;
      if (!this.#running.has(file.path) && this.#isReady(file, now))
        this.#find(file).then(this.feed, (error: unknown) => this.#hindered(error));
    }
  }

  /** Whether it may be hashed now; otherwise it is looked at again. */
  #isReady(file: SeenFile, now: number): boolean {
    if (this.#isStable(file, now)) return true;
    this.#options.inventory.retryAt(file, now + STABLE_AFTER / 2);
    return false;
  }

  /**
   * One that was changed a moment ago is probably being written. By this machine's clock, or, where the file's time is in the
   * future, by how long it has been seen as it is.
   */
  #isStable({ path, state, modified }: SeenFile, now: number): boolean {
    if (now - modified >= STABLE_AFTER) {
      this.#since.delete(path);
      return true;
    }
    const at = performance.now();
    const since = this.#since.get(path);
    if (since?.state === state) return at - since.at >= STABLE_AFTER;
    this.#since.set(path, { state, at });
    return false;
  }

  async #hashSmall(files: readonly SeenFile[]): Promise<void> {
    const results = await Promise.all(
      files.map((file) => digestSmallFile(file).catch((cause: unknown) => this.#unreadable(file, cause))),
    );
    if (this.#closed) return;
    const { inventory } = this.#options;
    inventory.together(() => {
      for (const [index, file] of files.entries()) {
        const result = results[index];
        if (result === 'changed') this.#changed(file);
        else if (result === undefined) inventory.retryAt(file, Date.now() + MOST_SETBACK_WAIT);
        else {
          this.#since.delete(file.path);
          this.#bytesRead += file.size;
          inventory.hashed(file, result.manifestSha256, result.manifest);
        }
      }
    });
  }

  #unreadable({ path }: SeenFile, cause: unknown): undefined {
    const { code, message } = cause as NodeJS.ErrnoException;
    // Gone since it was seen.
    if (code === 'ENOENT' || this.#told.has(path) || this.#told.size > 1_000) return undefined;
    this.#told.add(path);
    const said = `cannot read ${path} to hash it: ${message}`;
    this.#options.onFault(new HeadwaterError('HW_DISK', said, { cause, details: { path } }));
    return undefined;
  }

  async #find(file: SeenFile): Promise<void> {
    const { inventory, digests, onTried } = this.#options;
    this.#running.set(file.path, file);
    const found = await digests.find(file.path, identityOfText(file.state), false);
    this.#running.delete(file.path);
    onTried(file);
    if (this.#closed || found === 'closed') return;
    if (found === 'changed') {
      this.#changed(file);
    } else if ('error' in found) {
      inventory.retryAt(file, Date.now() + Math.max(0, found.until - performance.now()));
    } else {
      this.#since.delete(file.path);
      const manifest = parseManifest(found.manifestText, file.path);
      digests.forget(file.path);
      inventory.hashed(file, found.manifestSha256, manifest);
    }
  }

  #changed(file: SeenFile): void {
    this.#options.inventory.retryAt(file, Date.now() + STABLE_AFTER);
    this.#options.onChanged(file);
  }
}
