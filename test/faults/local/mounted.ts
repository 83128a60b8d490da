import { execFile } from 'node:child_process';
import { mkdtemp, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** For tests that need a file system of their own. */
export const asRoot =
  process.getuid?.() === 0 ? {} : { skip: 'NOT RUN: needs root, to mount a file system of its own' };

/** A small file system in memory; gone in the end. */
export class Mounted implements AsyncDisposable {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** @param options such as "size=8m" */
  static async with(options: string): Promise<Mounted> {
    const folder = await mkdtemp(join(tmpdir(), 'hw-mount-'));
    await run('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder]);
    return new Mounted(folder);
  }

  async become(options: string): Promise<void> {
    await run('mount', ['-o', `remount,${options}`, this.folder]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await run('umount', ['--lazy', this.folder]);
    await rmdir(this.folder);
  }
}
