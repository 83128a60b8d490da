import type { Bitmap } from '../../core/bitmap.ts';
import { CHECK_BATCH } from './limits.ts';
import type { Store } from './stores.ts';
import type { UploadChunk } from './upload-chunk.ts';

/** Asks servers which chunks they have: many at a time, one question to each server at once. */
export class Questions {
  readonly #ask: (store: Store, digests: readonly string[]) => Promise<Bitmap>;
  /** Called when every server that was to be asked for a chunk has answered, or will not. */
  readonly #onAnswered: (chunk: UploadChunk) => void;
  readonly #queues = new Map<Store, UploadChunk[]>();
  readonly #asking = new Set<Store>();
  /** Servers that have still to answer. */
  readonly #open = new Map<UploadChunk, number>();

  constructor(
    ask: (store: Store, digests: readonly string[]) => Promise<Bitmap>,
    onAnswered: (chunk: UploadChunk) => void,
  ) {
    this.#ask = ask;
    this.#onAnswered = onAnswered;
  }

  add(chunk: UploadChunk, stores: readonly Store[]): void {
    if (stores.length === 0) {
      this.#onAnswered(chunk);
      return;
    }
    this.#open.set(chunk, stores.length);
    for (const store of stores) {
      const queue = this.#queues.get(store) ?? [];
      queue.push(chunk);
      this.#queues.set(store, queue);
      // What is cut in the same moment goes with it.
      if (queue.length === 1) setImmediate(() => void this.#next(store));
    }
  }

  async #next(store: Store): Promise<void> {
    const queue = this.#queues.get(store) ?? [];
    if (this.#asking.has(store) || queue.length === 0) return;
    this.#asking.add(store);
    const chunks = queue.splice(0, CHECK_BATCH);
    let has: Bitmap | undefined;
    try {
      has = await this.#ask(
        store,
        chunks.map(({ digest }) => digest),
      );
    } catch {
      // Whoever asked has taken note: as if it had none.
    }
    this.#asking.delete(store);
    for (const [at, chunk] of chunks.entries()) {
      if (has?.has(at) === true) chunk.holders.add(store.told.id);
      const left = (this.#open.get(chunk) ?? 1) - 1;
      if (left > 0) this.#open.set(chunk, left);
      else {
        this.#open.delete(chunk);
        this.#onAnswered(chunk);
      }
    }
    void this.#next(store);
  }
}
