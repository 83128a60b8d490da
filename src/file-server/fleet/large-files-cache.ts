import { createHash } from 'node:crypto';
import type { Server } from 'node:net';
import { userInfo } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Manifest } from '../../core/manifest.ts';
import { DigestCache } from '../digests/digest-cache.ts';
import { identityText, type FileIdentity } from '../digests/file-identity.ts';
import { LEAST_CACHED_BYTES, LEAST_HASHING_RATE, LOOK_FOR_DIGESTS } from './limits.ts';
import { holdName } from './held-name.ts';

/**
 * The digests that all programs of this user share, for files that take a while to hash: of several servers on one machine
 * with the same folder one hashes each file, and the others wait for it. This server keeps what it knows by itself, so that a
 * cache that cannot be written is nothing to it.
 */
export class LargeFilesCache implements Pick<DigestCache, 'load' | 'save'> {
  readonly #cache: DigestCache;
  /** Files that this process hashes, by path. */
  readonly #held = new Map<string, Server>();
  readonly #over = new AbortController();

  constructor(folder: string | undefined) {
    this.#cache = new DigestCache(folder);
    void this.#cache.prune();
  }

  async load(path: string, identity: FileIdentity): Promise<Manifest | undefined> {
    if (!isLarge(identity)) return undefined;
    // Nobody is believed to be hashing for ever.
    const end = performance.now() + 60_000 + (Number(identity.size) / LEAST_HASHING_RATE) * 1000;
    while (!this.#over.signal.aborted && performance.now() < end) {
      const found = await this.#cache.load(path, identity);
      if (found !== undefined) return found;
      const held = await holdName(nameOf(path, identity)).catch(() => undefined);
      if (held === undefined) return undefined;
      if (held !== 'taken') {
        this.#held.set(path, held);
        // It may have been done between the look and now.
        return this.#cache.load(path, identity);
      }
      await sleep(LOOK_FOR_DIGESTS, undefined, { signal: this.#over.signal }).catch(() => undefined);
    }
    return undefined;
  }

  async save(path: string, identity: FileIdentity, manifest: Manifest): Promise<void> {
    if (isLarge(identity)) await this.#cache.save(path, identity, manifest).catch(() => undefined);
  }

  /** The file is hashed, or is not going to be: others need not wait any more. */
  done(path: string): void {
    this.#held.get(path)?.close();
    this.#held.delete(path);
  }

  close(): void {
    this.#over.abort();
    for (const path of this.#held.keys()) this.done(path);
  }
}

function isLarge({ size }: FileIdentity): boolean {
  return size >= BigInt(LEAST_CACHED_BYTES);
}

/** A cache that is another user's would never be filled for us. */
function nameOf(path: string, identity: FileIdentity): string {
  const text = `${userInfo().uid} ${path} ${identityText(identity)}`;
  return `hash-${createHash('sha256').update(text).digest('hex').slice(0, 40)}`;
}
