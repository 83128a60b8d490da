import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readFile, readdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

import * as z from 'zod';

import { canonicalManifest, parseManifest, type Manifest } from '../../core/manifest.ts';
import { CACHE_DAYS } from '../limits.ts';
import { identityText, type FileIdentity } from './file-identity.ts';

const DAY = 24 * 60 * 60 * 1000;
const VERSION = 1;

/** One entry as it lies on the disk. What the manifest has to be says the one who reads manifests. */
const ENTRY = z.strictObject({
  version: z.literal(VERSION),
  path: z.string(),
  state: z.string(),
  manifest: z.unknown(),
});

/** The user's cache folder (XDG base directories), with this program's name. */
export function defaultCacheFolder(): string {
  const base = process.env['XDG_CACHE_HOME'];
  // A relative path in it is to be ignored.
  return join(base?.startsWith('/') === true ? base : join(homedir(), '.cache'), 'headwater');
}

/**
 * Manifests of files on this machine, one small file each, named after the path it speaks for and bound to the state
 * the file had. Replaced whole, so that several processes can share it: what is read is always one whole entry. An
 * entry that is torn, foreign or of another state counts as missing.
 */
export class DigestCache {
  readonly #folder: string;

  constructor(folder: string = defaultCacheFolder()) {
    this.#folder = join(folder, 'digests');
  }

  async load(path: string, identity: FileIdentity): Promise<Manifest | undefined> {
    const file = this.#fileOf(path);
    try {
      const entry = ENTRY.parse(JSON.parse(await readFile(file, 'utf8')));
      if (entry.path !== path || entry.state !== identityText(identity)) return undefined;
      const manifest = parseManifest(JSON.stringify(entry.manifest), file);
      if (BigInt(manifest.size) !== identity.size) return undefined;
      await this.#touch(file);
      return manifest;
    } catch {
      return undefined;
    }
  }

  /** @throws what the file system says; nothing depends on the entry being there. */
  async save(path: string, identity: FileIdentity, manifest: Manifest): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const file = this.#fileOf(path);
    const draft = `${file}.${process.pid}-${randomBytes(4).toString('hex')}`;
    const head = JSON.stringify({ version: VERSION, path, state: identityText(identity) });
    const text = `${head.slice(0, -1)},"manifest":${canonicalManifest(manifest)}}
`;
    try {
      await writeFile(draft, text, { mode: 0o600, flag: 'wx' });
      await rename(draft, file);
    } catch (error) {
      await rm(draft, { force: true });
      throw error;
    }
  }

  /** Removes entries, and drafts of processes that died, that nobody used for long. Never fails. */
  async prune(now: number = Date.now()): Promise<void> {
    try {
      for (const name of await readdir(this.#folder)) {
        const file = join(this.#folder, name);
        const age = now - (await stat(file)).mtimeMs;
        if (age > (name.endsWith('.json') ? CACHE_DAYS : 1) * DAY) await rm(file, { force: true });
      }
    } catch {
      // Another process prunes too, or there is no cache yet.
    }
  }

  #fileOf(path: string): string {
    return join(this.#folder, `${createHash('sha256').update(path).digest('hex')}.json`);
  }

  /** Marks an entry as used, at most once a day. */
  async #touch(file: string): Promise<void> {
    const now = new Date();
    if (now.getTime() - (await stat(file)).mtimeMs > DAY) await utimes(file, now, now).catch(() => undefined);
  }
}
