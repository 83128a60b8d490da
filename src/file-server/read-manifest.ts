import { realpath, stat } from 'node:fs/promises';

import { HeadwaterError } from '../core/errors.ts';
import { parseManifest, type Manifest } from '../core/manifest.ts';
import { DigestCache } from './digests/digest-cache.ts';
import { DigestService, type HashingState } from './digests/digest-service.ts';
import { identityOf } from './digests/file-identity.ts';

export interface ReadManifestOptions {
  /** Folder that digests are kept in, or false to keep none. Default: the user's cache folder. */
  cache?: string | false;
  signal?: AbortSignal;
  /** Called about every quarter of a second. */
  onProgress?: (state: HashingState) => void;
}

const PROGRESS_INTERVAL = 250;

/**
 * The manifest of a file on this machine: from the cache, or by reading the file once.
 *
 * @throws HeadwaterError `HW_DISK` (cannot be read), `HW_SOURCE_CHANGED` (changed while it was read), `HW_INTERRUPTED`
 */
export async function readManifest(path: string, options: ReadManifestOptions = {}): Promise<Manifest> {
  const { cache, signal, onProgress } = options;
  const { real, identity } = await identify(path);
  const service = new DigestService({
    cache: cache === false ? undefined : new DigestCache(cache),
    atOnce: 1,
    onFault: () => undefined,
  });
  const stop = () => void service.close();
  signal?.addEventListener('abort', stop);
  const timer = onProgress && setInterval(() => onProgress(service.state), PROGRESS_INTERVAL);
  try {
    const isStopped = () => signal?.aborted === true;
    const found = isStopped() ? 'stopped' : await service.find(real, identity, true);
    if (typeof found === 'object' && 'manifestText' in found) return parseManifest(found.manifestText, path);
    if (isStopped()) throw new HeadwaterError('HW_INTERRUPTED', `hashing ${path} was stopped`);
    if (typeof found === 'object') throw found.error;
    throw new HeadwaterError('HW_SOURCE_CHANGED', `${path} changed while it was hashed`);
  } finally {
    clearInterval(timer);
    signal?.removeEventListener('abort', stop);
    await service.close();
  }
}

async function identify(path: string) {
  try {
    const real = await realpath(path);
    const stats = await stat(real, { bigint: true });
    if (stats.isFile()) return { real, identity: identityOf(stats) };
  } catch (cause) {
    throw new HeadwaterError('HW_DISK', `cannot read ${path}: ${(cause as Error).message}`, { cause });
  }
  throw new HeadwaterError('HW_DISK', `${path} is not a file`);
}
