import { createHash } from 'node:crypto';

import { HeadwaterError } from '../../core/errors.ts';
import { ChunkLayout } from '../../core/chunks.ts';
import type { FileInPlace } from '../file-in-place.ts';
import { Turnstile } from '../digests/turnstile.ts';
import type { FolderContents } from './folder-contents.ts';
import type { Holding, Inventory, Place } from './inventory.ts';
import { GOOD_FOR, MOST_REPORTS, MOST_WAITING_REPORTS, REPORT_WINDOW } from './limits.ts';
import { readBlock } from './read-ahead.ts';

/** What a re-read found; `unknown`: the content is not here any more, or cannot be read. */
export type Verdict = 'good' | 'bad' | 'unknown';

const BLOCK_BYTES = 1024 * 1024;
/** Chunks that were found good lately, and grants that reported lately, that are remembered. */
const MOST_RECENT = 10_000;

export interface ChunkReportsOptions {
  readonly inventory: Inventory;
  readonly contents: FolderContents;
  /** A chunk is bad on the disk. */
  readonly onBad: (holding: Holding, chunk: number, place: Place) => void;
  /** Reads a chunk of the chunk store again; a bad one it tells of itself. */
  readonly verifyStored: (digest: string) => Promise<Verdict>;
}

/**
 * Re-reads chunks that somebody says came wrong. One at a time, a few for each grant, and not again what was good a moment
 * ago: a report is a cheap way to make a server read 64 MiB.
 */
export class ChunkReports {
  readonly #options: ChunkReportsOptions;
  readonly #turn = new Turnstile(1);
  readonly #byGrant = new Map<string, { since: number; count: number }>();
  readonly #good = new Map<string, number>();
  readonly #checking = new Map<string, Promise<Verdict>>();
  readonly #scrubbing = new Set<string>();
  #waiting = 0;
  #block: Buffer | undefined;
  #closed = false;

  constructor(options: ChunkReportsOptions) {
    this.#options = options;
  }

  /**
   * @throws HeadwaterError `HW_TOO_MANY`, `HW_USAGE` (the file has no such chunk), `HW_NOT_FOUND` (the content is not here)
   */
  async report(grant: string, manifest: string, chunk: number): Promise<Verdict> {
    this.#count(grant);
    const holding = this.#options.inventory.holding(manifest);
    const inFolder = holding !== undefined && holding.held && !holding.withdrawn;
    const stored = holding?.stored;
    if (holding === undefined || (!inFolder && stored === undefined)) {
      throw new HeadwaterError('HW_NOT_FOUND', 'this server does not hold that file');
    }
    const { count } = new ChunkLayout(holding.size, holding.chunkSize);
    if (chunk >= count) {
      throw new HeadwaterError('HW_USAGE', `chunk takes 0 to ${count - 1}`, { details: { field: 'chunk' } });
    }
    // Known, and told to the fleet.
    const isStored = stored?.has(chunk) ?? false;
    if (!isStored && (!inFolder || holding.missing.includes(chunk))) return 'bad';
    const key = `${manifest} ${chunk}`;
    if (performance.now() - (this.#good.get(key) ?? -Infinity) < GOOD_FOR) return 'good';
    const running = this.#checking.get(key);
    if (running !== undefined) return running;
    if (this.#waiting >= MOST_WAITING_REPORTS) throw tooMany('reports wait already', 5);
    this.#waiting++;
    const checking = this.#turn
      .run(() => this.#checkAll(holding, chunk, { inFolder, isStored }))
      .finally(() => {
        this.#waiting--;
        this.#checking.delete(key);
        if (this.#waiting === 0) this.#block = undefined;
      });
    this.#checking.set(key, checking);
    const verdict = await checking;
    if (verdict === 'good') remember(this.#good, key, performance.now());
    return verdict;
  }

  close(): void {
    this.#closed = true;
  }

  #count(grant: string): void {
    const now = performance.now();
    const reports = this.#byGrant.get(grant);
    if (reports === undefined || now - reports.since > REPORT_WINDOW) {
      this.#byGrant.delete(grant);
      remember(this.#byGrant, grant, { since: now, count: 1 });
      return;
    }
    if (reports.count >= MOST_REPORTS) {
      throw tooMany('reports of this grant', Math.ceil((reports.since + REPORT_WINDOW - now) / 1000));
    }
    reports.count++;
  }

  /** Bad when any of the copies is: which one was sent is not known. */
  async #checkAll(
    holding: Holding,
    chunk: number,
    { inFolder, isStored }: { inFolder: boolean; isStored: boolean },
  ): Promise<Verdict> {
    const { inventory, verifyStored } = this.#options;
    const verdicts: Verdict[] = [];
    if (inFolder && !holding.missing.includes(chunk)) verdicts.push(await this.#check(holding, chunk));
    const digest = isStored ? inventory.chunkDigest(holding.manifest, chunk) : undefined;
    if (digest !== undefined) verdicts.push(await verifyStored(digest));
    return verdicts.find((each) => each === 'bad') ?? verdicts[0] ?? 'unknown';
  }

  /** Good as long as one copy is; a bad one beside a good one is served no more. */
  async #check(holding: Holding, chunk: number): Promise<Verdict> {
    const { inventory, contents, onBad } = this.#options;
    const bad: Place[] = [];
    let good = false;
    for (const place of inventory.places(holding.manifest)) {
      if (this.#closed) return 'unknown';
      const verdict = await this.#checkPlace(contents, place, holding, chunk);
      if (verdict === 'good') good = true;
      if (verdict === 'bad') bad.push(place);
    }
    const [first] = bad;
    if (first === undefined) return good ? 'good' : 'unknown';
    if (good) for (const place of bad) inventory.distrust(place);
    else inventory.lost(holding.manifest, [chunk]);
    for (const place of bad) onBad(holding, chunk, place);
    // A disk that went wrong in one place often has in others.
    if (!good) void this.#scrub(holding).catch(() => this.#scrubbing.delete(holding.manifest));
    return 'bad';
  }

  /** Looks at all the other chunks of a file, after whatever was reported. */
  async #scrub({ manifest, size, chunkSize }: Holding): Promise<void> {
    if (this.#scrubbing.has(manifest)) return;
    this.#scrubbing.add(manifest);
    const { count } = new ChunkLayout(size, chunkSize);
    for (let chunk = 0; chunk < count && !this.#closed; chunk++) {
      const holding = this.#options.inventory.holding(manifest);
      if (holding === undefined || !holding.held) break;
      if (holding.missing.includes(chunk)) continue;
      await this.#turn.run(() => this.#check(holding, chunk));
    }
    this.#scrubbing.delete(manifest);
  }

  async #checkPlace(
    contents: FolderContents,
    place: Place,
    holding: Holding,
    chunk: number,
  ): Promise<Verdict> {
    const digest = this.#options.inventory.chunkDigest(holding.manifest, chunk);
    const file = await contents.openPlace(place).catch(() => undefined);
    if (file === undefined || digest === undefined) {
      file?.close();
      return 'unknown';
    }
    try {
      const layout = new ChunkLayout(holding.size, holding.chunkSize);
      const found = await this.#digest(file, layout.start(chunk), layout.end(chunk));
      // Another file by now: the inventory looks at it anyway.
      if (!file.unchanged()) return 'unknown';
      return found === digest ? 'good' : 'bad';
    } catch {
      // A sector that cannot be read is as bad as a wrong one.
      return 'bad';
    } finally {
      file.close();
    }
  }

  async #digest(file: FileInPlace, start: number, end: number): Promise<string> {
    this.#block ??= Buffer.allocUnsafeSlow(BLOCK_BYTES);
    const hash = createHash('sha256');
    for (let position = start; position < end;) {
      const bytes = await readBlock(file, this.#block, position, Math.min(BLOCK_BYTES, end - position));
      if (bytes === 0) break;
      hash.update(this.#block.subarray(0, bytes));
      position += bytes;
    }
    return hash.digest('hex');
  }
}

function tooMany(what: string, retryAfter: number): HeadwaterError {
  return new HeadwaterError('HW_TOO_MANY', `too many ${what}`, { details: { retryAfter } });
}

function remember<T>(map: Map<string, T>, key: string, value: T): void {
  map.set(key, value);
  if (map.size <= MOST_RECENT) return;
  for (const [oldest] of map) {
    map.delete(oldest);
    break;
  }
}
