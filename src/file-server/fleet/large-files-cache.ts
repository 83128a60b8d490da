import { DigestCache } from '../digests/digest-cache.ts';
import type { FileIdentity } from '../digests/file-identity.ts';
import type { Manifest } from '../../core/manifest.ts';
import { LEAST_CACHED_BYTES } from './limits.ts';

/**
 * The digests that all programs of this user share, for files that take a while to hash. This server keeps what it knows by
 * itself, so that a cache that cannot be written is nothing to it.
 */
export class LargeFilesCache implements Pick<DigestCache, 'load' | 'save'> {
  readonly #cache: DigestCache;

  constructor(folder: string | undefined) {
    this.#cache = new DigestCache(folder);
    void this.#cache.prune();
  }

  load(path: string, identity: FileIdentity): Promise<Manifest | undefined> {
    return isLarge(identity) ? this.#cache.load(path, identity) : Promise.resolve(undefined);
  }

  async save(path: string, identity: FileIdentity, manifest: Manifest): Promise<void> {
    if (isLarge(identity)) await this.#cache.save(path, identity, manifest).catch(() => undefined);
  }
}

function isLarge({ size }: FileIdentity): boolean {
  return size >= BigInt(LEAST_CACHED_BYTES);
}
