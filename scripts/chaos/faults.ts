import { open, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

import type { ChaosFleet } from './fleet.ts';
import type { Random } from './random.ts';

/** Milliseconds between faults: from, and up to how many more. */
const PAUSE = { least: 500, spread: 3_000 };
/** Milliseconds that a process is stopped for: beyond the time after which a server is suspected. */
const STOP = { least: 1_000, spread: 14_000 };
/** Milliseconds in which a server that was killed is counted as gone. */
const GONE = 5_000;
/** Milliseconds between two losses of stored chunks: time to make the copies again. */
const LOSS_PAUSE = 30_000;
/** With 3 copies this many servers may be gone at once: one besides the one that lost its chunks. */
const MOST_GONE = 1;
/** Bits are flipped on this one only: a copy that nobody has read again since is not known to be lost. */
const FLIPPED = 0;

/** What goes wrong. */
export class ChaosFaults {
  readonly counts = new Map<string, number>();
  readonly #fleet: ChaosFleet;
  readonly #random: Random;
  readonly #gone = new Set<string>();
  readonly #stopped = new Set<string>();
  #lossAt = -Infinity;

  constructor(fleet: ChaosFleet, random: Random) {
    this.#fleet = fleet;
    this.#random = random;
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#fault();
      await pause(PAUSE.least + this.#random.below(PAUSE.spread), signal);
    }
  }

  /** Everything that was stopped goes on. */
  async undo(): Promise<void> {
    for (const name of this.#stopped) this.#fleet.signal(name, 'SIGCONT');
    this.#stopped.clear();
  }

  async #fault(): Promise<void> {
    const chance = this.#random.next();
    if (chance < 0.35) this.#kill();
    else if (chance < 0.6) this.#stop();
    else if (chance < 0.75) this.#killInformationServer();
    else if (chance < 0.9) await this.#flip();
    else await this.#empty();
  }

  #kill(): void {
    const name = this.#victim();
    if (name === undefined || !this.#fleet.signal(name, 'SIGKILL')) return;
    this.#count('file servers killed');
    this.#isGone(name, GONE);
  }

  #stop(): void {
    const name = this.#victim();
    if (name === undefined || !this.#fleet.signal(name, 'SIGSTOP')) return;
    this.#count('file servers stopped and continued');
    this.#stopped.add(name);
    const time = STOP.least + this.#random.below(STOP.spread);
    this.#isGone(name, time + GONE);
    setTimeout(() => {
      if (this.#stopped.delete(name)) this.#fleet.signal(name, 'SIGCONT');
    }, time).unref();
  }

  #killInformationServer(): void {
    const name = this.#random.pick(this.#fleet.informationServers);
    if (name !== undefined && this.#fleet.signal(name, 'SIGKILL')) this.#count('information servers killed');
  }

  /** A bit of a chunk on the disk, with the file's times as they were. */
  async #flip(): Promise<void> {
    const chunk = this.#random.pick(await this.#chunksOf(this.#fleet.servers[FLIPPED]));
    if (chunk === undefined) return;
    try {
      const { size, atime, mtime } = await stat(chunk);
      if (size === 0) return;
      const file = await open(chunk, 'r+');
      try {
        const at = this.#random.below(size);
        const byte = Buffer.alloc(1);
        await file.read(byte, 0, 1, at);
        byte[0] = (byte[0] ?? 0) ^ (1 << this.#random.below(8));
        await file.write(byte, 0, 1, at);
        await file.utimes(atime, mtime);
      } finally {
        await file.close();
      }
      this.#count('bits flipped');
    } catch {
      // It was deleted in the meantime.
    }
  }

  /** All chunks of a server that stays. */
  async #empty(): Promise<void> {
    if (performance.now() - this.#lossAt < LOSS_PAUSE) return;
    const others = this.#fleet.servers.filter((name, index) => index !== FLIPPED && !this.#gone.has(name));
    const name = this.#random.pick(others);
    if (name === undefined) return;
    this.#lossAt = performance.now();
    for (const chunk of await this.#chunksOf(name)) await rm(chunk, { force: true });
    // It is started again, and finds that they are gone.
    this.#fleet.signal(name, 'SIGKILL');
    this.#count('file servers emptied');
    this.#isGone(name, GONE);
  }

  async #chunksOf(name: string | undefined): Promise<string[]> {
    if (name === undefined) return [];
    const folder = join(this.#fleet.data, 'servers', name, 'chunks');
    try {
      const found = await readdir(folder, { recursive: true, withFileTypes: true });
      return found
        .filter((entry) => entry.isFile() && /^[0-9a-f]{64}$/.test(entry.name))
        .map((entry) => join(entry.parentPath, entry.name))
        .sort();
    } catch {
      return [];
    }
  }

  #victim(): string | undefined {
    if (this.#gone.size >= MOST_GONE) return undefined;
    return this.#random.pick(this.#fleet.servers.filter((name) => !this.#gone.has(name)));
  }

  #isGone(name: string, time: number): void {
    this.#gone.add(name);
    setTimeout(() => this.#gone.delete(name), time).unref();
  }

  #count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }
}

async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  try {
    await wait(milliseconds, undefined, { signal });
  } catch {
    // It is over.
  }
}
