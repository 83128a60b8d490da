import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

import { decodeJournal } from '../../../src/client/storage/journal.ts';
import type { Bitmap } from '../../../src/core/bitmap.ts';
import { ChunkLayout, MIB } from '../../../src/core/chunks.ts';
import { MANIFEST_VERSION, type Manifest } from '../../../src/core/manifest.ts';
import { Running } from '../../integration/program.ts';
import { contentOf, FaultServer, HONEST, madeUpContent } from '../fault-server.ts';
import { sha256 } from '../network/lab.ts';

/** What the client is told of the file. */
export type Known = 'manifest' | 'sha256' | 'nothing';

/** Bytes a second of each answer: a file takes about a second, so that kills land everywhere. */
const RATE = 12 * MIB;
/** Bytes that a run without any digest reads of each source, and of its own file, to compare: three blocks. */
const COMPARED = 3 * 16 * 1024;
/** Connections, and so chunks under way at any moment: one to each of two sources. */
const LANES = 2;

/** When the servers have sent this part of what is missing (1: at its very end), or milliseconds after the start. */
export type Kill = { readonly part: number } | { readonly after: number } | 'never';

/** What a killed run cost. */
export interface Loss {
  /** Bytes that servers sent it and that its journal does not vouch for: they have to be sent again. */
  readonly bytes: number;
  /** Part of the file that was there, from 0 to 1. */
  readonly at: number;
}

/**
 * One file on three servers, and a client that fetches it from two of them at a time and is killed again and again. Holds
 * every run to what the journal of the one before vouched for.
 */
export class KilledClient implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'hw-killed-'));
  readonly layout: ChunkLayout;
  readonly #known: Known;
  readonly #bytes: Uint8Array;
  readonly #servers: FaultServer[] = [];
  readonly #output: string;
  readonly losses: Loss[] = [];
  #runs = 0;

  private constructor(known: Known, seed: number, size: number) {
    this.#known = known;
    this.#bytes = madeUpContent(seed, size).read(0, size);
    // Smaller than a file without a manifest is cut, so that the account is closer.
    this.layout = known === 'manifest' ? new ChunkLayout(size, MIB / 8) : new ChunkLayout(size);
    this.#output = join(this.folder, 'to', 'file.bin');
    mkdirSync(join(this.folder, 'to'));
  }

  static async start(known: Known, seed: number, size: number): Promise<KilledClient> {
    const made = new KilledClient(known, seed, size);
    if (known === 'manifest') writeFileSync(join(made.folder, 'manifest'), JSON.stringify(made.#manifest()));
    for (const etag of ['"one"', '"two"', '"three"']) {
      const content = contentOf(made.#bytes);
      const script = { ...HONEST, bytesPerSecond: RATE };
      made.#servers.push(await FaultServer.start({ content, script, etag }));
    }
    return made;
  }

  #manifest(): Manifest {
    const { size, chunkSize, count } = this.layout;
    const chunks = Array.from({ length: count }, (_, chunk) =>
      sha256(this.#bytes.subarray(this.layout.start(chunk), this.layout.end(chunk))),
    );
    return { version: MANIFEST_VERSION, size, chunkSize, sha256: sha256(this.#bytes), chunks };
  }

  /** Most bytes that a kill may cost, and why. */
  get allowance(): number {
    const { chunkSize } = this.layout;
    // Of each lane a part of a chunk, and chunks that were whole but not in the journal yet: it is appended to within
    // 10 ms, in which a lane at this rate brings less than one chunk of a MiB; a busy machine may take a few times that.
    const unwritten = Math.max(chunkSize, MIB);
    // What the server had handed to the system and the client had not read.
    const onTheWire = MIB;
    const compared = this.#known === 'nothing' ? COMPARED : 0;
    return LANES * (chunkSize + unwritten + onTheWire + compared + 1);
  }

  get #args(): string[] {
    const told = {
      manifest: ['--manifest', join(this.folder, 'manifest')],
      sha256: ['--sha256', sha256(this.#bytes)],
      nothing: [],
    };
    // Two of the three, each time others.
    const servers = this.#servers.filter((_, at) => at !== this.#runs % 3);
    const urls = servers.map(({ url }) => url.href);
    const to = this.#runs % 2 === 0 ? this.#output : join(this.folder, 'to/');
    return ['get', ...urls, '-o', to, '-c', '1', '-q', ...told[this.#known]];
  }

  get #sent(): number {
    return this.#servers.reduce((sum, { counters }) => sum + counters.bytesSent, 0);
  }

  /** Chunks that the journal calls done, after their bytes were found to be right. */
  #vouched(): Bitmap | undefined {
    const path = `${this.#output}.hw-journal`;
    if (!existsSync(path)) return undefined;
    const journal = decodeJournal(readFileSync(path));
    assert.ok(journal, 'the journal is whole after a kill');
    const { done, tail } = journal;
    assert.equal(done.length, this.layout.count);
    for (const chunk of tail) done.add(chunk);
    if (done.count === 0) return done;
    const part = readFileSync(`${this.#output}.hw-part`);
    for (let chunk = 0; chunk < done.length; chunk++) {
      if (!done.has(chunk)) continue;
      const [start, end] = [this.layout.start(chunk), this.layout.end(chunk)];
      assert.ok(
        part.subarray(start, end).equals(this.#bytes.subarray(start, end)),
        `chunk ${chunk} is right`,
      );
    }
    return done;
  }

  #bytesOf(chunks: Bitmap | undefined): number {
    let bytes = 0;
    for (let chunk = 0; chunk < this.layout.count; chunk++)
      if (chunks?.has(chunk) === true) bytes += this.layout.bytes(chunk);
    return bytes;
  }

  /** What this run asked for must be none of what an earlier one had. */
  #holdToJournal(before: Bitmap | undefined): void {
    for (const server of this.#servers) {
      for (const { from, to } of server.counters.ranges) {
        if (to === 1 || (this.#known === 'nothing' && to - from <= COMPARED / 3)) continue;
        for (let chunk = this.layout.at(from); chunk <= this.layout.at(to - 1); chunk++)
          assert.ok(
            before?.has(chunk) !== true,
            `run ${this.#runs}: chunk ${chunk} was there and is fetched again`,
          );
      }
    }
  }

  /** One run. Gives whether it was killed; otherwise the file is complete. */
  async run(kill: Kill): Promise<boolean> {
    this.#runs++;
    for (const server of this.#servers) server.forget();
    const before = this.#vouched();
    const missing = this.layout.size - this.#bytesOf(before);
    const client = new Running(this.#args);
    const { ended } = client;
    if (kill === 'never') await ended;
    else if ('after' in kill) await Promise.race([wait(kill.after), ended]);
    else while (client.process.exitCode === null && this.#sent < missing * kill.part) await wait(2);
    // Where all is sent there is still the end of hashing, a sync, a rename and what is removed after it.
    if (kill !== 'never' && 'part' in kill && kill.part === 1)
      await Promise.race([wait(Math.random() * 60), ended]);
    client.process.kill('SIGKILL');
    const { status, signal, stderr } = await ended;
    this.#holdToJournal(before);
    if (signal !== 'SIGKILL') {
      assert.equal(stderr, '');
      assert.equal(status, 0);
      return false;
    }
    if (existsSync(this.#output)) return true;
    const now = this.#bytesOf(this.#vouched());
    assert.ok(now >= this.layout.size - missing, 'a kill takes nothing away');
    this.losses.push({
      bytes: this.#sent - (now - (this.layout.size - missing)),
      at: now / this.layout.size,
    });
    return true;
  }

  get isThere(): boolean {
    return existsSync(this.#output);
  }

  /** The file is right; and what a kill in the last moment left beside it goes when the same command is run again. */
  async hasTheFile(): Promise<void> {
    assert.ok(readFileSync(this.#output).equals(this.#bytes));
    const names = (): string[] => readdirSync(join(this.folder, 'to'));
    if (names().length > 1) assert.equal((await new Running(this.#args).ended).status, 5);
    assert.deepEqual(names(), ['file.bin']);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.close()));
    rmSync(this.folder, { recursive: true, force: true });
  }
}
