import { createCipheriv, createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

import { EXIT } from '../../src/core/errors.ts';
import type { ChaosFleet } from './fleet.ts';
import type { Random } from './random.ts';

const CLIENTS = 3;
/** Files that are there at most: a long run must not fill the disk. */
const MOST_FILES = 30;
const MOST_SIZE = 24 * 1024 * 1024;
/** Milliseconds between two looks at how many copies there are. */
const LOOK = 1_000;

/** A file that was acknowledged. */
interface Published {
  readonly sha256: string;
  /** Somebody uses it: others leave its name alone. */
  users: number;
}

/** People who put, get, rename and delete; what they saw that must not be is in `broken`. */
export class ChaosClients {
  readonly broken: string[] = [];
  readonly counts = new Map<string, number>();
  readonly #fleet: ChaosFleet;
  readonly #random: Random;
  readonly #folder: string;
  readonly #files = new Map<string, Published>();
  #names = 0;

  constructor(fleet: ChaosFleet, random: Random, folder: string) {
    this.#fleet = fleet;
    this.#random = random;
    this.#folder = folder;
  }

  async run(signal: AbortSignal): Promise<void> {
    await Promise.all(
      Array.from({ length: CLIENTS }, async (_, client) => {
        const own = join(this.#folder, `client-${client}`);
        await mkdir(own);
        while (!signal.aborted) await this.#act(own);
      }),
    );
  }

  /** Seconds until every chunk of every file has its copies; undefined when that took too long. */
  async healed(within: number): Promise<number | undefined> {
    const started = performance.now();
    while (performance.now() - started < within) {
      if (await this.#isWhole()) return (performance.now() - started) / 1000;
      await wait(LOOK);
    }
    return undefined;
  }

  /** Gets every file that was acknowledged and not deleted: none may be lost. */
  async checkAll(): Promise<void> {
    const output = join(this.#folder, 'checked');
    for (const [name, file] of this.#files) {
      const { status, stderr } = await this.#fleet.run(['get', name, '-o', output, '--force', '-q']);
      if (status !== EXIT.done)
        this.broken.push(`${name} was acknowledged and cannot be had: ${stderr.trim()}`);
      else await this.#check(name, file, output);
      this.#count('checked at the end');
    }
    await rm(output, { force: true });
  }

  async #act(own: string): Promise<void> {
    const chance = this.#random.next();
    if (this.#files.size === 0 || (chance < 0.3 && this.#files.size < MOST_FILES)) await this.#put(own);
    else if (chance < 0.75) await this.#get(own);
    else if (chance < 0.88) await this.#move();
    else await this.#remove(own);
  }

  async #put(own: string): Promise<void> {
    const name = `folder-${this.#random.below(3)}/file-${++this.#names}`;
    const path = join(own, 'put');
    const bytes = noise(this.#random.below(2 ** 32), 1 + this.#random.below(MOST_SIZE));
    await writeFile(path, bytes);
    const { status } = await this.#fleet.run(['put', path, '--name', name, '-q']);
    this.#count(status === EXIT.done ? 'put' : 'put, refused');
    if (status !== EXIT.done) return;
    this.#files.set(name, { sha256: createHash('sha256').update(bytes).digest('hex'), users: 0 });
  }

  async #get(own: string): Promise<void> {
    const [name, file] = this.#random.pick([...this.#files]) ?? [];
    if (name === undefined || file === undefined) return;
    const output = join(own, 'got');
    file.users++;
    const { status, stderr } = await this.#fleet.run(['get', name, '-o', output, '--force', '-q']);
    file.users--;
    this.#count(status === EXIT.done ? 'get' : `get, failed (${/HW_\w+/.exec(stderr)?.[0] ?? status})`);
    if (status === EXIT.done) await this.#check(name, file, output);
    if (status === EXIT.verification) this.broken.push(`${name}: ${stderr.trim()}`);
  }

  async #move(): Promise<void> {
    const [name, file] = this.#unused();
    if (name === undefined || file === undefined) return;
    const to = `folder-${this.#random.below(3)}/moved-${++this.#names}`;
    this.#files.delete(name);
    const { status } = await this.#fleet.run(['mv', name, to]);
    this.#count(status === EXIT.done ? 'renamed' : 'rename, refused');
    // Refused in the middle of a fault it may have been done all the same.
    if (status === EXIT.done) this.#files.set(to, file);
    else if ((await this.#fleet.run(['info', to, '--json'])).status === EXIT.done) this.#files.set(to, file);
    else if ((await this.#fleet.run(['info', name, '--json'])).status === EXIT.done)
      this.#files.set(name, file);
  }

  async #remove(own: string): Promise<void> {
    const [name] = this.#unused();
    if (name === undefined) return;
    this.#files.delete(name);
    const { status } = await this.#fleet.run(['rm', name, '--yes']);
    this.#count(status === EXIT.done ? 'deleted' : 'delete, refused');
    if (status !== EXIT.done) return;
    const output = join(own, 'deleted');
    const again = await this.#fleet.run(['get', name, '-o', output, '--force', '-q']);
    if (again.status === EXIT.done) this.broken.push(`${name} was deleted and was handed out again`);
    await rm(output, { force: true });
  }

  #unused(): [string, Published] | [] {
    return this.#random.pick([...this.#files].filter(([, { users }]) => users === 0)) ?? [];
  }

  async #isWhole(): Promise<boolean> {
    for (const name of this.#files.keys()) {
      const { status, stdout } = await this.#fleet.run(['info', name, '--json']);
      if (status !== EXIT.done) return false;
      const { replicas } = JSON.parse(stdout) as { replicas: { wanted: number; least: number } };
      if (replicas.least < replicas.wanted) return false;
    }
    return true;
  }

  async #check(name: string, { sha256 }: Published, path: string): Promise<void> {
    const hash = createHash('sha256');
    for await (const part of createReadStream(path)) hash.update(part as Buffer);
    if (hash.digest('hex') !== sha256) this.broken.push(`${name} came with wrong bytes`);
    await rm(path, { force: true });
  }

  #count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }
}

/** Bytes that depend on a seed alone and do not compress. */
function noise(seed: number, length: number): Buffer {
  const key = createHash('sha256').update(String(seed)).digest();
  const cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16));
  return cipher.update(Buffer.alloc(length));
}
