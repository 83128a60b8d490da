import { availableParallelism } from 'node:os';

import type { HeadwaterError } from '../../core/errors.ts';
import { DigestService } from '../digests/digest-service.ts';
import { MOST_HASHED_AT_ONCE } from '../limits.ts';
import { ChunkReports, type ChunkReportsOptions } from './chunk-reports.ts';
import { DigestFeed } from './digest-feed.ts';
import { FolderContents } from './folder-contents.ts';
import { FolderWatch } from './folder-watch.ts';
import { Inventory } from './inventory.ts';
import { LargeFilesCache } from './large-files-cache.ts';
import { ReadAhead } from './read-ahead.ts';
import type { StateFile } from './state-file.ts';

export interface FolderStockOptions {
  /** Real paths. */
  readonly folders: readonly string[];
  readonly state: StateFile;
  /** Folder of digests that other programs share; undefined: the user's; false: none. */
  readonly cache: string | undefined | false;
  readonly rescanEvery: number | undefined;
  /** Whether the disk has enough to do with answers. */
  readonly isBusy: () => boolean;
  /** What is held has changed. */
  readonly onHeld: () => void;
  /** Everything that was seen is hashed, or cannot be. */
  readonly onHashed: () => void;
  readonly onBadChunk: (bad: { name: string; chunk: number; path: string }) => void;
  /** Reads a chunk of the chunk store again. */
  readonly verifyStored: ChunkReportsOptions['verifyStored'];
  readonly onFault: (error: HeadwaterError) => void;
}

/** What the folders hold: found, watched, hashed, opened, looked at again. */
export class FolderStock {
  readonly inventory: Inventory;
  readonly contents: FolderContents;
  readonly reports: ChunkReports;
  readonly readAhead: ReadAhead;
  readonly #digests: DigestService;
  readonly #shared: LargeFilesCache | undefined;
  readonly #watch: FolderWatch;
  readonly #feed: DigestFeed;
  #walked = false;

  constructor(options: FolderStockOptions) {
    const { folders, state, cache, rescanEvery, isBusy, onHeld, onHashed, onBadChunk, onFault } = options;
    const inventory = new Inventory(state, onHeld);
    const lookAgain = (place: { folder: string; name: string }): void =>
      this.#watch.lookAgain(place.folder, place.name);
    this.inventory = inventory;
    this.#shared = cache === false ? undefined : new LargeFilesCache(cache);
    this.#digests = new DigestService({
      cache: this.#shared,
      atOnce: Math.max(1, Math.min(MOST_HASHED_AT_ONCE, Math.floor(availableParallelism() / 2))),
      onFault: (error) => onFault(error as HeadwaterError),
    });
    this.#feed = new DigestFeed({
      inventory,
      digests: this.#digests,
      onChanged: lookAgain,
      onTried: ({ path }) => this.#shared?.done(path),
      onIdle: () => this.#walked && onHashed(),
      onFault,
    });
    this.#watch = new FolderWatch({
      folders,
      inventory,
      onSeen: this.#feed.feed,
      onFault,
      ...(rescanEvery !== undefined && { rescanEvery }),
    });
    this.contents = new FolderContents({ folders, inventory, digests: this.#digests, onOther: lookAgain });
    this.reports = new ChunkReports({
      inventory,
      contents: this.contents,
      onBad: ({ name }, chunk, { path }) => onBadChunk({ name, chunk, path }),
      verifyStored: options.verifyStored,
    });
    this.readAhead = new ReadAhead(this.contents, isBusy);
  }

  /** Whether everything that is in the folders was seen and hashed since the start. */
  get isHashed(): boolean {
    return this.#walked && !this.inventory.isPending;
  }

  /** Bytes read so far of the files that are being hashed. */
  get bytesHashed(): number {
    return this.#digests.state.bytesDone + this.#feed.bytesRead;
  }

  start(): void {
    void this.#watch.start().then(() => {
      this.#walked = true;
      this.#feed.feed();
    });
  }

  async close(): Promise<void> {
    this.reports.close();
    this.#shared?.close();
    await Promise.all([
      this.#feed.close(),
      this.#watch.close(),
      this.readAhead.close(),
      this.#digests.close(),
    ]);
    this.contents.close();
  }
}
