import { parseManifest } from '../../core/manifest.ts';
import type { DigestService } from '../digests/digest-service.ts';
import { identityOfText } from '../digests/file-identity.ts';
import type { Inventory, SeenFile } from './inventory.ts';
import { MOST_FINDING, STABLE_AFTER } from './limits.ts';

export interface DigestFeedOptions {
  readonly inventory: Inventory;
  readonly digests: DigestService;
  /** The file is another than the inventory says. */
  readonly onChanged: (file: SeenFile) => void;
  /** Nothing is left to hash now. */
  readonly onIdle: () => void;
}

/**
 * Has files hashed that are new, the newest first, few at a time: however many there are, only these are in memory. What is
 * known by the end of the process stays known; a file whose reading was interrupted is read again from its beginning, for
 * the state of a digest of the whole cannot be kept.
 */
export class DigestFeed {
  readonly #options: DigestFeedOptions;
  readonly #running = new Map<string, SeenFile>();
  /** Since when files with a time of now or later are as they are, `performance.now()`. */
  readonly #since = new Map<string, { readonly state: string; readonly at: number }>();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: DigestFeedOptions) {
    this.#options = options;
  }

  /** There may be something to do. */
  readonly feed = (): void => {
    clearTimeout(this.#timer);
    if (this.#closed) return;
    const { inventory } = this.#options;
    const now = Date.now();
    const room = MOST_FINDING - this.#running.size;
    if (room > 0) {
      for (const file of inventory.pending(now, MOST_FINDING * 2)) {
        if (this.#running.size >= MOST_FINDING) break;
        if (this.#running.has(file.path)) continue;
        if (this.#isStable(file, now)) void this.#find(file);
        else inventory.retryAt(file, now + STABLE_AFTER / 2);
      }
    }
    const next = inventory.nextRetry(now);
    if (next === undefined) {
      if (this.#running.size === 0) this.#options.onIdle();
      return;
    }
    // A clock that was set back must not make it wait for years.
    const wait = Math.min(60_000, Math.max(50, next - now));
    this.#timer = setTimeout(this.feed, wait).unref();
  };

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
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

  async #find(file: SeenFile): Promise<void> {
    const { inventory, digests, onChanged } = this.#options;
    this.#running.set(file.path, file);
    const found = await digests.find(file.path, identityOfText(file.state), false);
    this.#running.delete(file.path);
    if (this.#closed || found === 'closed') return;
    if (found === 'changed') {
      inventory.retryAt(file, Date.now() + STABLE_AFTER);
      onChanged(file);
    } else if ('error' in found) {
      inventory.retryAt(file, Date.now() + Math.max(0, found.until - performance.now()));
    } else {
      this.#since.delete(file.path);
      const manifest = parseManifest(found.manifestText, file.path);
      digests.forget(file.path);
      inventory.hashed(file, found.manifestSha256, manifest);
    }
    this.feed();
  }
}
