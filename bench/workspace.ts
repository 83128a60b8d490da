import { existsSync, rmSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, open, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { isAlive } from './processes.ts';

const PREFIX = 'hw-bench-';
const BLOCK = 8 * 1024 * 1024;

const MEMORY = '/dev/shm';

/** A folder that holds what a run makes. Removed at the end. */
export class Workspace implements AsyncDisposable {
  readonly path: string;
  readonly #removeAtExit = (): void => rmSync(this.path, { recursive: true, force: true });

  private constructor(path: string) {
    this.path = path;
    process.on('exit', this.#removeAtExit);
  }

  /**
   * Makes a fresh one, and removes what runs that were killed left behind.
   *
   * @param parent the folder it is made in. Default: in memory, where the machine has /dev/shm.
   */
  static async open(parent: string = existsSync(MEMORY) ? MEMORY : tmpdir()): Promise<Workspace> {
    for (const name of await readdir(parent)) {
      const owner = name.startsWith(PREFIX) ? Number.parseInt(name.slice(PREFIX.length), 10) : Number.NaN;
      if (owner > 0 && !isAlive(owner)) await rm(join(parent, name), { recursive: true, force: true });
    }
    const path = await mkdtemp(join(parent, `${PREFIX}${process.pid}-`));
    // Servers may read as another user.
    await chmod(path, 0o755);
    return new Workspace(path);
  }

  at(...names: string[]): string {
    return join(this.path, ...names);
  }

  /** Makes a folder (and those above it) and gives its path. */
  async folder(...names: string[]): Promise<string> {
    const path = this.at(...names);
    await mkdir(path, { recursive: true });
    return path;
  }

  async remove(...paths: string[]): Promise<void> {
    for (const path of paths) await rm(path, { recursive: true, force: true });
  }

  /**
   * Writes and frees `bytes` of memory. In a virtual machine whose host takes free memory back, the first program to
   * use a page pays for getting it again, up to as much CPU as the download itself: done before every run, nobody does.
   */
  async touchMemory(bytes: number): Promise<void> {
    const path = this.at('touched');
    const file = await open(path, 'w');
    try {
      const zeros = new Uint8Array(BLOCK);
      for (let done = 0; done < bytes; done += BLOCK) await file.write(zeros);
    } finally {
      await file.close();
      await rm(path);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    process.off('exit', this.#removeAtExit);
    await rm(this.path, { recursive: true, force: true });
  }
}
