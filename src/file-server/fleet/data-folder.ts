import { createHash } from 'node:crypto';
import { chmod, mkdir, open, readFile, realpath, rename, rm } from 'node:fs/promises';
import type { Server } from 'node:net';
import { join } from 'node:path';

import * as z from 'zod';

import { HeadwaterError } from '../../core/errors.ts';
import { newId } from '../../database/ids.ts';
import { holdName } from './held-name.ts';
import { jsonOf } from './json-body.ts';

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

/** What is kept until the fleet has answered for the first time. */
const JOINING = z.object({ id: z.uuid() });

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

  /**
   * The id to join with for the first time. It is on the disk before the fleet hears of it: a process that ends before it
   * could keep what the fleet answered comes back as the same server, and does not find its own name taken.
   *
   * @throws HeadwaterError `HW_DISK`
   */
  async joiningId(): Promise<string> {
    const file = this.#joining;
    const known = await readFile(file, 'utf8').then(
      (text) => JOINING.safeParse(jsonOf(text)).data,
      () => undefined,
    );
    if (known !== undefined) return known.id;
    const id = newId();
    await replace(file, { id });
    return id;
  }

  /** Replaced whole, and on the disk before it counts: the token in it is told only once. */
  async keepIdentity(identity: Identity): Promise<void> {
    await replace(join(this.path, 'identity.json'), identity);
    // Whoever deletes the identity wants another server.
    await rm(this.#joining, { force: true }).catch(() => undefined);
  }

  get #joining(): string {
    return join(this.path, 'joining.json');
  }

  close(): void {
    this.#lock?.close();
  }
}

/** @throws HeadwaterError `HW_DISK` */
async function replace(file: string, value: object): Promise<void> {
  const draft = `${file}.new`;
  try {
    const handle = await open(draft, 'w', 0o600);
    try {
      await handle.writeFile(`${JSON.stringify(value, null, 2)}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(draft, file);
  } catch (cause) {
    throw new HeadwaterError('HW_DISK', `${file} cannot be written: ${(cause as Error).message}`, { cause });
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
