import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import assert from 'node:assert/strict';

import { download } from '../../../src/client/download.ts';
import type { SourceSpec } from '../../../src/client/live-sources.ts';
import type {
  DownloadEvent,
  DownloadOptions,
  DownloadReport,
  SourceEvent,
  SourceReport,
} from '../../../src/client/types.ts';
import { ChunkLayout, MIB } from '../../../src/core/chunks.ts';
import { type ErrorCode, HeadwaterError } from '../../../src/core/errors.ts';
import { MANIFEST_VERSION, type Manifest } from '../../../src/core/manifest.ts';
import {
  contentOf,
  FaultServer,
  type FaultServerOptions,
  HONEST,
  madeUpContent,
  type Script,
} from '../fault-server.ts';

/** What a server of the lab is: what it does, or more. */
export type ServerSetup = Script | Partial<FaultServerOptions>;

interface LabOptions {
  /** Bytes of the file. Default 4 MiB. */
  readonly size?: number;
  readonly seed?: number;
}

/** One file on several servers that misbehave, and a folder to download it into. */
export class Lab implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'hw-net-'));
  readonly bytes: Uint8Array;
  readonly servers: FaultServer[] = [];
  /** Everything that downloads of this lab said. */
  readonly events: DownloadEvent[] = [];
  readonly #watchers: ((event: DownloadEvent) => void)[] = [];

  private constructor({ size = 4 * MIB, seed = 1 }: LabOptions) {
    this.bytes = madeUpContent(seed, size).read(0, size);
  }

  static async of(setups: readonly ServerSetup[], options: LabOptions = {}): Promise<Lab> {
    const lab = new Lab(options);
    for (const setup of setups) await lab.add(setup);
    return lab;
  }

  /** One more server. */
  async add(setup: ServerSetup): Promise<FaultServer> {
    const content = contentOf(this.bytes);
    const options = typeof setup === 'function' || 'does' in setup ? { script: setup } : setup;
    const server = await FaultServer.start({ content, ...options });
    this.servers.push(server);
    return server;
  }

  server(id: number): FaultServer {
    const server = this.servers[id - 1];
    if (server === undefined) throw new Error(`there is no server ${id}`);
    return server;
  }

  get urls(): URL[] {
    return this.servers.map((server) => server.url);
  }

  get size(): number {
    return this.bytes.length;
  }

  get sha256(): string {
    return sha256(this.bytes);
  }

  get manifest(): Manifest {
    return manifestOf(this.bytes);
  }

  get output(): string {
    return join(this.folder, 'out.bin');
  }

  /** Downloads from all servers into `output`. */
  async get(
    options: DownloadOptions = {},
    sources: readonly (string | URL | SourceSpec)[] = this.urls,
  ): Promise<DownloadReport> {
    const { onEvent, ...rest } = options;
    return download(sources, {
      output: this.output,
      proxy: false,
      onEvent: (event) => {
        this.events.push(event);
        onEvent?.(event);
        for (const watch of this.#watchers.slice()) watch(event);
      },
      ...rest,
    });
  }

  /** Does something as soon as an event of this kind comes, once. */
  on(wanted: (event: DownloadEvent) => boolean, act: (event: DownloadEvent) => void): void {
    const watch = (event: DownloadEvent): void => {
      if (!wanted(event)) return;
      this.#watchers.splice(this.#watchers.indexOf(watch), 1);
      act(event);
    };
    this.#watchers.push(watch);
  }

  /** Resolves with the first such event that comes from now on. */
  event(wanted: (event: DownloadEvent) => boolean): Promise<DownloadEvent> {
    return new Promise((resolve) => {
      this.on(wanted, resolve);
    });
  }

  /** What was said of a source, in order. */
  saidOf(id: number): SourceEvent[] {
    return this.events.filter((event) => event.event === 'source').filter((event) => event.id === id);
  }

  get notices(): string[] {
    return this.events.flatMap((event) => (event.event === 'notice' ? [event.message] : []));
  }

  /** The finished file is right, under its name, and nothing else is left. */
  hasTheFile(name = 'out.bin'): void {
    assert.deepEqual(this.left, [name]);
    this.is(name);
  }

  /** What has this name has the file's bytes. */
  is(name: string): void {
    assert.ok(
      Buffer.from(this.bytes).equals(readFileSync(join(this.folder, name))),
      `${name} has other bytes`,
    );
  }

  /** Puts something else into the folder. */
  async write(name: string, text: string): Promise<void> {
    await writeFile(join(this.folder, name), text);
  }

  /** Names in the folder. */
  get left(): string[] {
    return readdirSync(this.folder).sort();
  }

  /** Closes the servers; fails when a download left something open. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await until(() => this.servers.every((server) => server.open === 0), 'every connection is closed');
      assert.deepEqual(openFilesIn(this.folder), [], 'files are still open');
    } finally {
      await Promise.all(this.servers.map((server) => server.close()));
      rmSync(this.folder, { recursive: true, force: true });
    }
  }
}

/** The error that something ends with. */
export async function failure(work: Promise<unknown>): Promise<HeadwaterError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof HeadwaterError) return error;
    throw error;
  }
  throw new Error('it ended well');
}

/** The source has this state now, for this reason. */
export function became(
  id: number,
  state: SourceEvent['state'],
  code?: ErrorCode,
): (event: DownloadEvent) => boolean {
  return (event) =>
    event.event === 'source' &&
    event.id === id &&
    event.state === state &&
    (code === undefined || event.code === code);
}

export function of(report: DownloadReport, id: number): SourceReport {
  const source = report.sources.find((each) => each.id === id);
  if (source === undefined) throw new Error(`the report has no source ${id}`);
  return source;
}

/** Codes of the bans in a report, by source. */
export function bans(report: DownloadReport): Record<number, ErrorCode> {
  return Object.fromEntries(
    report.sources.flatMap(({ id, ban }) => (ban === undefined ? [] : [[id, ban.code]])),
  );
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

export function manifestOf(bytes: Uint8Array): Manifest {
  const layout = new ChunkLayout(bytes.length);
  return {
    version: MANIFEST_VERSION,
    size: bytes.length,
    chunkSize: layout.chunkSize,
    sha256: sha256(bytes),
    chunks: Array.from({ length: layout.count }, (_, chunk) =>
      sha256(bytes.subarray(layout.start(chunk), layout.end(chunk))),
    ),
  };
}

/** Waits for what must come to be. */
export async function until(what: () => boolean, name: string, milliseconds = 10_000): Promise<void> {
  const end = performance.now() + milliseconds;
  while (!what()) {
    if (performance.now() > end) throw new Error(`waited in vain until ${name}`);
    await new Promise((resolve) => {
      setTimeout(resolve, 5);
    });
  }
}

/** Files below the folder that this process has open. */
function openFilesIn(folder: string): string[] {
  const open: string[] = [];
  for (const fd of readdirSync('/proc/self/fd')) {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`);
      if (target.startsWith(folder)) open.push(target);
    } catch {
      // The one that lists the folder is gone by now.
    }
  }
  return open;
}

/** Honest, at this many bytes a second for each request. */
export function slow(bytesPerSecond: number): Script {
  return { ...HONEST, bytesPerSecond };
}
