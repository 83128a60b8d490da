import { setTimeout as sleep } from 'node:timers/promises';

import * as z from 'zod';

import type { FLEET_EVENTS } from '../../core/api/events.ts';
import { ChunkLayout } from '../../core/chunks.ts';
import { HeadwaterError } from '../../core/errors.ts';
import type { ChunkStock } from './chunk-stock.ts';
import { digestAt, headOf } from './held-contents.ts';
import { AVOID_SOURCE, COPIED_TOLD, COPIES_AT_ONCE, COPY_AGAIN, COPY_TRIES, ORDER_AGE } from './limits.ts';
import { Pace } from './pace.ts';
import { pullChunk } from './pull-chunk.ts';

type Order = ReturnType<(typeof FLEET_EVENTS)['chunks.copy']['parse']>;
type Source = Order['sources'][number];

const CHUNKS = z.array(z.tuple([z.int(), z.int()]));
const SOURCES = z.array(z.object({ id: z.string(), url: z.string() }));

export interface CopierOptions {
  readonly stock: ChunkStock;
  /** Bytes a second. */
  readonly rate: number;
  /** Makes the content known; false: the fleet does not know it any more. */
  readonly learn: (manifest: string) => Promise<boolean>;
  /** A token for other servers of the fleet. */
  readonly token: () => Promise<string>;
  readonly onFault: (error: HeadwaterError) => void;
}

/** Of one source's: another may have it. */
const OF_SOURCE = new Set([
  'HW_CONNECT',
  'HW_SILENT',
  'HW_NOT_HERE',
  'HW_UNAVAILABLE',
  'HW_PROTOCOL',
  'HW_BAD_CHUNK',
  'HW_INTERRUPTED',
]);

/**
 * Gets chunks that the fleet orders from other servers. Orders are written down before they are acknowledged, done one after
 * the other, a few chunks at once, and gone on with after a restart; what is here already is only counted. What cannot be
 * had is left to the fleet to order again.
 */
export class Copier {
  readonly #options: CopierOptions;
  readonly #over = new AbortController();
  readonly #pace: Pace;
  readonly #avoid = new Map<string, number>();
  #work: Promise<void> | undefined;
  #bytes = 0;

  constructor(options: CopierOptions) {
    this.#options = options;
    this.#pace = new Pace(options.rate, this.#over.signal);
  }

  /** Bytes pulled since the start. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The fleet wants these copies here. */
  order({ order, manifest, chunks, sources }: Order): void {
    this.#index.run(
      'insert or replace into orders values (?, ?, ?, ?, ?)',
      order,
      manifest,
      JSON.stringify(chunks),
      JSON.stringify(sources),
      Date.now(),
    );
    this.start();
  }

  /** Goes on with what is left. */
  start(): void {
    if (this.#over.signal.aborted) return;
    this.#work ??= this.#run().finally(() => {
      this.#work = undefined;
      if (this.#next() !== undefined) this.start();
    });
  }

  async close(): Promise<void> {
    this.#over.abort();
    await this.#work;
  }

  get #index() {
    return this.#options.stock.store.index;
  }

  #next(): Order | undefined {
    if (this.#over.signal.aborted) return undefined;
    const row = this.#index.get('select id, manifest, chunks, sources from orders order by at limit 1');
    if (row === undefined) return undefined;
    return {
      order: String(row['id']),
      manifest: String(row['manifest']),
      chunks: CHUNKS.parse(JSON.parse(String(row['chunks']))),
      sources: SOURCES.parse(JSON.parse(String(row['sources']))),
    };
  }

  async #run(): Promise<void> {
    const { signal } = this.#over;
    this.#index.run('delete from orders where at < ?', Date.now() - ORDER_AGE);
    for (let order = this.#next(); order !== undefined; order = this.#next()) {
      try {
        await this.#do(order);
      } catch (cause) {
        if (signal.aborted) return;
        const why = (cause as Error).message;
        const message = `chunks of ${order.manifest.slice(0, 8)} were not copied: ${why}; the fleet orders them again`;
        const code = cause instanceof HeadwaterError ? cause.code : 'HW_INTERNAL';
        this.#options.onFault(new HeadwaterError(code, message, { cause }));
      }
      if (signal.aborted) return;
      this.#index.run('delete from orders where id = ?', order.order);
    }
  }

  async #do({ manifest, chunks, sources }: Order): Promise<void> {
    const { stock, learn } = this.#options;
    if (!(await learn(manifest))) return;
    // What is here already.
    await stock.held.gained(manifest, chunks);
    const content = stock.held.content(manifest);
    if (content === undefined) return;
    const { packed, has } = content;
    const { size, chunkSize } = headOf(packed);
    const layout = new ChunkLayout(size, chunkSize);
    const wanted = numbersOf(chunks, layout.count).filter((each) => !has.has(each));
    const copied: number[] = [];
    const tell = async (): Promise<void> => {
      const told = copied.splice(0);
      if (told.length > 0)
        await stock.held.gained(
          manifest,
          told.map((each) => [each, each] as const),
        );
    };
    const timer = setInterval(() => void tell(), COPIED_TOLD);
    let failure: unknown;
    const lane = async (): Promise<void> => {
      for (let chunk = wanted.shift(); chunk !== undefined && failure === undefined; chunk = wanted.shift()) {
        try {
          const digest = digestAt(packed, chunk).toString('hex');
          const isHere = stock.store.index.has(digestAt(packed, chunk));
          if (!isHere) await this.#copy(digest, layout.bytes(chunk), sources, chunk);
          copied.push(chunk);
        } catch (error) {
          failure ??= error;
        }
      }
    };
    try {
      await Promise.all(Array.from({ length: COPIES_AT_ONCE }, lane));
    } finally {
      clearInterval(timer);
      await tell();
    }
    if (failure !== undefined) throw failure as Error;
  }

  /** From one of the sources, each chunk from another one first. */
  async #copy(digest: string, size: number, sources: readonly Source[], turn: number): Promise<void> {
    const { stock, token } = this.#options;
    const { store, agents } = stock;
    const { signal } = this.#over;
    let last: unknown = new HeadwaterError('HW_SOURCES_LOST', 'no server was named to copy from');
    for (let tries = 0; tries < COPY_TRIES; tries++) {
      if (tries > 0) await sleep(COPY_AGAIN * 2 ** (tries - 1), undefined, { signal });
      for (const [at] of sources.entries()) {
        signal.throwIfAborted();
        const source = sources[(turn + at) % sources.length];
        if (source === undefined || (this.#isAvoided(source) && at + 1 < sources.length)) continue;
        try {
          const wanted = { digest, size, url: source.url, token: await token() };
          await pullChunk({ store, agents, pace: this.#pace, signal }, wanted);
          this.#bytes += size;
          return;
        } catch (error) {
          const code = error instanceof HeadwaterError ? error.code : undefined;
          if (code === undefined || !OF_SOURCE.has(code)) throw error;
          if (code === 'HW_CONNECT' || code === 'HW_SILENT') this.#avoid.set(source.id, performance.now());
          last = error;
        }
      }
    }
    throw last;
  }

  #isAvoided({ id }: Source): boolean {
    const since = this.#avoid.get(id);
    if (since === undefined) return false;
    if (performance.now() - since < AVOID_SOURCE) return true;
    this.#avoid.delete(id);
    return false;
  }
}

function numbersOf(ranges: readonly (readonly [number, number])[], count: number): number[] {
  return ranges.flatMap(([first, last]) =>
    Array.from({ length: Math.max(0, Math.min(last, count - 1) - first + 1) }, (_, at) => first + at),
  );
}
