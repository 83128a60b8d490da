import { createHash } from 'node:crypto';
import { chmod, mkdir, open, readFile, realpath, rename } from 'node:fs/promises';
import type { Server } from 'node:net';
import { join } from 'node:path';

import * as z from 'zod';

import { HeadwaterError } from '../../core/errors.ts';
import { holdName } from './held-name.ts';

/** Who this server is in its fleet, as it lies on the disk. */
const IDENTITY = z.object({
  id: z.uuid(),
  token: z.string().min(1),
  /** The fleet's id. */
  fleet: z.string(),
  /** The number of the last process that was this server. */
  instance: z.int().positive(),
  /** The port it had, so that its address stays where nobody says otherwise. */
  port: z.int().optional(),
  informationServers: z.array(z.url()),
});
export type Identity = z.infer<typeof IDENTITY>;

/** A file server's own folder: who it is, and what it knows. One process at a time. */
export class DataFolder {
  readonly path: string;
  readonly #lock: Server | undefined;

  private constructor(path: string, lock: Server | undefined) {
    this.path = path;
    this.#lock = lock;
  }

  /** @throws HeadwaterError `HW_DISK`, `HW_CONFLICT` (another process uses it) */
  static async open(folder: string): Promise<DataFolder> {
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const path = await realpath(folder);
      await chmod(path, 0o700);
      return new DataFolder(path, await lockFolder(path));
    } catch (cause) {
      if (cause instanceof HeadwaterError) throw cause;
      const message = `the data folder ${folder} cannot be used: ${(cause as Error).message}`;
      throw new HeadwaterError('HW_DISK', message, { cause });
    }
  }

  /** @throws HeadwaterError `HW_DISK` (there, and not readable: a new identity would leave a dead server behind) */
  async identity(): Promise<Identity | undefined> {
    const file = join(this.path, 'identity.json');
    try {
      return IDENTITY.parse(JSON.parse(await readFile(file, 'utf8')));
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      const message = `${file} cannot be read; delete it to join as a new server`;
      throw new HeadwaterError('HW_DISK', message, { cause });
    }
  }

  /** Replaced whole, and on the disk before it counts: the token in it is told only once. */
  async keepIdentity(identity: Identity): Promise<void> {
    const file = join(this.path, 'identity.json');
    const draft = `${file}.new`;
    try {
      const handle = await open(draft, 'w', 0o600);
      try {
        await handle.writeFile(`${JSON.stringify(identity, null, 2)}\n`);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(draft, file);
    } catch (cause) {
      throw new HeadwaterError('HW_DISK', `${file} cannot be written: ${(cause as Error).message}`, {
        cause,
      });
    }
  }

  close(): void {
    this.#lock?.close();
  }
}

/** One process at a time. On another machine, or where names cannot be held, the fleet itself refuses the older of two. */
async function lockFolder(path: string): Promise<Server | undefined> {
  const name = createHash('sha256').update(path).digest('hex').slice(0, 32);
  const held = await holdName(`file-server-${name}`);
  if (held !== 'taken') return held;
  throw new HeadwaterError(
    'HW_CONFLICT',
    `another file server uses the data folder ${path}; give each its own with --data, or its own --name`,
  );
}
