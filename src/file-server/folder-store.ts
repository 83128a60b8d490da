import { close, constants, fstatSync, open, readlinkSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { promisify } from 'node:util';

import { HeadwaterError } from '../core/errors.ts';
import type { DigestService } from './digests/digest-service.ts';
import { identityOf, type FileIdentity } from './digests/file-identity.ts';
import { FileInPlace } from './file-in-place.ts';
import { findFiles, pathInside, realPathOf, type Found, type Root } from './find-files.ts';
import { LISTING_AGE, MOST_REHASH_DELAY, REHASH_DELAY } from './limits.ts';
import type { ListedFile, Listing, Store } from './store.ts';

const openFile = promisify(open);
// Not blocking: opening a named pipe would otherwise wait for a writer.
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
/** What opening a path can say that means no more than that nothing is served there. */
const ABSENT = new Set([
  'ENOENT',
  'ENOTDIR',
  'EACCES',
  'EPERM',
  'ELOOP',
  'ENAMETOOLONG',
  'EISDIR',
  'ENXIO',
  'EINVAL',
]);
/** A file can be replaced between resolving its path and opening it; one that always is, is not served. */
const OPEN_TRIES = 5;
const NONE_LEFT = new Set(['EMFILE', 'ENFILE', 'ENOMEM']);

/** Files served where they are: single ones by their name, and everything below folders. */
export class FolderStore implements Store {
  readonly #roots: readonly Root[];
  readonly #digests: DigestService;
  readonly #onChange: (path: string) => void;
  readonly #rehashing = new Map<string, NodeJS.Timeout>();
  #listing: { at: number; found: Promise<Found> } | undefined;
  #closed = false;

  /** `onChange` is called when a file turns out to have changed; without it the store has it hashed again. */
  constructor(roots: readonly Root[], digests: DigestService, onChange?: (path: string) => void) {
    this.#roots = roots;
    this.#digests = digests;
    this.#onChange = onChange ?? ((path) => void this.#rehash(path));
  }

  async open(name: string): Promise<FileInPlace | undefined> {
    for (const root of this.#roots) {
      if (root.kind === 'file' && root.name !== name) continue;
      for (let tries = 0; tries < OPEN_TRIES; tries++) {
        const opened = await this.#openBelow(root, name);
        if (opened === 'moved') continue;
        if (opened !== undefined) return opened;
        break;
      }
    }
    return undefined;
  }

  async list(): Promise<Listing> {
    const { files, truncated } = await this.#found();
    const listed: ListedFile[] = [];
    for (const { name, path, identity } of files) {
      const digests = this.#digests.known(path, identity);
      listed.push({ name, size: Number(identity.size), ...(digests && { sha256: digests.sha256 }) });
    }
    return { files: listed, truncated };
  }

  /** Starts to find out the digests of everything that is served; resolves when each is known or given up. */
  async prepare(): Promise<void> {
    const { files } = await this.#found();
    // Short ones first: most names are ready soon.
    const bySize = [...files].sort((a, b) => Number(a.identity.size - b.identity.size));
    await Promise.all(bySize.map(({ path, identity }) => this.#hash(path, identity, 0)));
  }

  close(): void {
    this.#closed = true;
    for (const timer of this.#rehashing.values()) clearTimeout(timer);
  }

  async #openBelow(root: Root, name: string): Promise<FileInPlace | 'moved' | undefined> {
    let descriptor: number | undefined;
    try {
      const path = root.kind === 'file' ? await realPathOf(root.path) : await pathInside(root.path, name);
      if (path === undefined) return undefined;
      descriptor = await openFile(path, FLAGS);
      const stats = fstatSync(descriptor, { bigint: true });
      const fault = !stats.isFile() ? 'no file' : leadsTo(descriptor, path) ? undefined : 'moved';
      if (fault !== undefined) {
        close(descriptor);
        return fault === 'moved' ? fault : undefined;
      }
      return new FileInPlace(this.#digests, descriptor, name, path, identityOf(stats), () =>
        this.#onChange(path),
      );
    } catch (cause) {
      if (descriptor !== undefined) close(descriptor);
      const { code = '', message } = cause as NodeJS.ErrnoException;
      if (ABSENT.has(code)) return undefined;
      if (NONE_LEFT.has(code)) {
        throw new HeadwaterError('HW_UNAVAILABLE', `too many files are open to open ${name}; try again`, {
          cause,
          details: { retryAfter: 1 },
        });
      }
      throw new HeadwaterError('HW_DISK', `cannot open ${name}: ${message}`, { cause });
    }
  }

  /** A file changed while it was served: its new digests will be asked for. */
  async #rehash(path: string, attempt = 0): Promise<void> {
    try {
      const stats = await stat(path, { bigint: true });
      if (stats.isFile() && !this.#closed) await this.#hash(path, identityOf(stats), attempt);
    } catch {
      // It is gone, which the next request for it will find out.
    }
  }

  async #hash(path: string, identity: FileIdentity, attempt: number): Promise<void> {
    const digests = await this.#digests.find(path, identity, false);
    if (digests !== 'changed' || this.#closed || this.#rehashing.has(path)) return;
    const timer = setTimeout(
      () => {
        this.#rehashing.delete(path);
        void this.#rehash(path, attempt + 1);
      },
      Math.min(MOST_REHASH_DELAY, REHASH_DELAY * 2 ** attempt),
    );
    this.#rehashing.set(path, timer.unref());
  }

  #found(): Promise<Found> {
    const now = performance.now();
    if (this.#listing === undefined || now - this.#listing.at > LISTING_AGE) {
      this.#listing = { at: now, found: findFiles(this.#roots) };
    }
    return this.#listing.found;
  }
}

/**
 * Whether the descriptor is the file at that real path. A folder on the way could have become a link since the path was
 * resolved; only Linux can tell, elsewhere it is taken as true.
 */
function leadsTo(descriptor: number, path: string): boolean {
  if (process.platform !== 'linux') return true;
  try {
    return readlinkSync(`/proc/self/fd/${descriptor}`) === path;
  } catch {
    // No /proc here.
    return true;
  }
}
