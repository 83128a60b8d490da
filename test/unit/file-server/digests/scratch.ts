import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { identityOf, type FileIdentity } from '../../../../src/file-server/digests/file-identity.ts';

/** A folder of its own, removed in the end. */
export class Scratch implements AsyncDisposable {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async make(): Promise<Scratch> {
    return new Scratch(await mkdtemp(join(tmpdir(), 'headwater-digests-')));
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /** A file of random bytes. */
  async file(name: string, size: number): Promise<ScratchFile> {
    const path = this.path(name);
    const bytes = randomBytes(size);
    await writeFile(path, bytes);
    return { path, bytes, identity: await identify(path) };
  }

  /** A file of zeros that takes a second or more to hash, and no room. */
  async longFile(name: string): Promise<Omit<ScratchFile, 'bytes'>> {
    const path = this.path(name);
    await writeFile(path, '');
    await truncate(path, 2 * 1024 ** 3);
    return { path, identity: await identify(path) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true });
  }
}

export interface ScratchFile {
  readonly path: string;
  readonly bytes: Buffer;
  readonly identity: FileIdentity;
}

export async function identify(path: string): Promise<FileIdentity> {
  return identityOf(await stat(path, { bigint: true }));
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
