import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';

import type { Bitmap } from '../../core/bitmap.ts';
import { HeadwaterError } from '../../core/errors.ts';
import { ChunkContents } from './chunk-contents.ts';
import { ChunkStore, type StoreState } from './chunk-store.ts';
import { HeldContents } from './held-contents.ts';
import { FORWARD_CONNECTIONS, JANITOR_EVERY, MOST_TOLD_SINGLY } from './limits.ts';
import { rebuildIndex, type RebuildOptions } from './rebuild.ts';
import { Scrub } from './scrub.ts';

export interface ChunkStockOptions {
  readonly data: string;
  readonly capacity: number | undefined;
  readonly reserve: number | undefined;
  /** Chunks of a content that are held have changed; undefined: none is any more. */
  readonly onHeld: (manifest: string, packed: Buffer, has: Bitmap | undefined) => void;
  /** Milliseconds within which every chunk is read again. */
  readonly scrubInterval: number;
  /** What the server's other database knows of what was held, where the index has to be made anew. */
  readonly heldBefore: RebuildOptions['heldBefore'];
  readonly manifestOf: RebuildOptions['manifestOf'];
  readonly onBadChunk: (digest: string) => void;
  readonly onFault: (error: HeadwaterError) => void;
}

/** What the chunk store holds, and all that looks after it. */
export class ChunkStock {
  readonly store: ChunkStore;
  readonly held: HeldContents;
  readonly contents: ChunkContents;
  readonly scrub: Scrub;
  readonly agents = agentsFor(FORWARD_CONNECTIONS);
  readonly #options: ChunkStockOptions;
  readonly #over = new AbortController();
  readonly #lost = new Set<string>();
  #losing: Promise<void> | undefined;
  #sweeping: Promise<void> | undefined;
  #rebuilding: Promise<void> | undefined;
  /** What refers to what is certain: only then something may be removed. */
  #certain: boolean;
  #timer: NodeJS.Timeout | undefined;

  private constructor(options: ChunkStockOptions, store: ChunkStore) {
    this.#options = options;
    this.store = store;
    this.held = new HeldContents(store.index, options.onHeld);
    this.contents = new ChunkContents(store, this.held);
    this.scrub = new Scrub({ store, interval: options.scrubInterval, onFault: options.onFault });
    this.#certain = !store.doubtful;
  }

  /** @throws HeadwaterError `HW_DISK` */
  static async open(options: ChunkStockOptions): Promise<ChunkStock> {
    const made: { stock?: ChunkStock } = {};
    const store = await ChunkStore.open({
      ...options,
      onLost: (digests) => made.stock?.lost(digests),
    });
    made.stock = new ChunkStock(options, store);
    return made.stock;
  }

  get state(): StoreState {
    return this.store.state;
  }

  start(): void {
    this.#timer = setInterval(() => void this.sweep(), JANITOR_EVERY).unref();
    if (this.#certain) this.#begin();
    else this.#rebuilding = this.#rebuild();
  }

  /** Removes what nobody needs, now. */
  async sweep(): Promise<void> {
    if (!this.#certain) return;
    this.#sweeping ??= this.#sweep().finally(() => {
      this.#sweeping = undefined;
    });
    await this.#sweeping;
  }

  /** Chunks are gone or bad: no content has them any more, and the fleet hears of it. */
  lost(digests: readonly string[]): void {
    this.#tellLost(digests);
    for (const each of digests) this.#lost.add(each);
    this.#losing ??= this.#loseAll().finally(() => {
      this.#losing = undefined;
    });
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#over.abort();
    await Promise.all([this.#sweeping, this.#losing, this.#rebuilding, this.scrub.close()]);
    this.agents.http.destroy();
    this.agents.https.destroy();
    await this.store.close(this.#certain);
  }

  #begin(): void {
    this.scrub.start();
    void this.sweep();
  }

  async #rebuild(): Promise<void> {
    const { heldBefore, manifestOf } = this.#options;
    const { signal } = this.#over;
    await this.#guarded(async () => {
      const onLost = (digests: readonly string[]): void => this.#tellLost(digests);
      await rebuildIndex({ store: this.store, held: this.held, heldBefore, manifestOf, onLost, signal });
      if (signal.aborted) return;
      this.#certain = true;
      this.#begin();
    });
  }

  /** Each by itself, as long as somebody could read that. */
  #tellLost(digests: readonly string[]): void {
    if (digests.length <= MOST_TOLD_SINGLY) {
      for (const each of digests) this.#options.onBadChunk(each);
      return;
    }
    const message = `${digests.length} chunks are gone from the disk; the fleet hears of it and has them copied again`;
    this.#options.onFault(new HeadwaterError('HW_DISK', message));
  }

  async #loseAll(): Promise<void> {
    while (this.#lost.size > 0) {
      const lost = new Set(this.#lost);
      this.#lost.clear();
      await this.#guarded(() => this.held.lost(lost));
    }
  }

  async #sweep(): Promise<void> {
    await this.#guarded(async () => {
      await this.store.refresh();
      await this.store.sweep(this.#over.signal);
    });
  }

  async #guarded(work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (cause) {
      const message = `the chunk store failed: ${(cause as Error).message}`;
      this.#options.onFault(
        cause instanceof HeadwaterError ? cause : new HeadwaterError('HW_DISK', message, { cause }),
      );
    }
  }
}

function agentsFor(connections: number): { readonly http: HttpAgent; readonly https: HttpsAgent } {
  const settings = { keepAlive: true, maxSockets: connections, noDelay: true };
  return { http: new HttpAgent(settings), https: new HttpsAgent(settings) };
}
