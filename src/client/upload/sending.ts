import type { ChunkStored } from '../../core/api/uploads.ts';
import type { Bitmap } from '../../core/bitmap.ts';
import { HeadwaterError } from '../../core/errors.ts';
import { MOST_LOOKED_AT, MOST_SENDING, SPARE_PLACES } from './limits.ts';
import { Questions } from './questions.ts';
import { toldError, type Store, type Stores } from './stores.ts';
import type { UploadChunk } from './upload-chunk.ts';
import { placesOf, placesWanted } from './wanted-places.ts';

export interface SendingParts {
  readonly stores: Stores;
  readonly now: () => number;
  readonly ask: (store: Store, digests: readonly string[]) => Promise<Bitmap>;
  /** Sends it to `entry`, which passes it on to `next`. */
  readonly send: (
    chunk: UploadChunk,
    entry: Store,
    next: readonly Store[],
    /** Milliseconds after which it has taken too long. */
    patience: number,
  ) => Promise<ChunkStored>;
  /** Whether there is another token now than the one that a server said is over. */
  readonly renew: (over: HeadwaterError) => Promise<boolean>;
  /** It was sent, and the server says that its bytes are others. @throws HeadwaterError `HW_INPUT_CHANGED` */
  readonly refuseChanged: (chunk: UploadChunk) => Promise<void>;
  /** The list of servers should be asked for: one failed, or nothing goes on. */
  readonly onLack: () => void;
  /** A chunk has its copies. */
  readonly onDone: (chunk: UploadChunk) => void;
  /** There is more room, or it has failed. */
  readonly onChange: () => void;
}

/** Sees to it that every chunk gets its copies: which is sent next, to whom, and what follows when that fails. */
export class Sending {
  readonly #parts: SendingParts;
  readonly #questions: Questions;
  readonly #waiting = new Set<UploadChunk>();
  readonly #unfinished = new Set<UploadChunk>();
  #sending = 0;
  #timer: NodeJS.Timeout | undefined;
  #failure: unknown;
  #closed = false;
  /** Counts what was brought to an end: whether an upload goes on at all is seen by it. */
  steps = 0;

  constructor(parts: SendingParts) {
    this.#parts = parts;
    this.#questions = new Questions(
      (store, digests) => this.#ask(store, digests),
      (chunk) => {
        this.#waiting.add(chunk);
        this.pump();
      },
    );
  }

  /** A chunk whose copies are not known, or not there. */
  add(chunk: UploadChunk): void {
    const { stores } = this.#parts;
    chunk.holders.clear();
    this.#unfinished.add(chunk);
    const asked = placesOf(chunk, stores, SPARE_PLACES).filter((each) => !each.hasFailed);
    this.#questions.add(chunk, asked);
  }

  /** Chunks that do not have their copies yet. */
  get unfinished(): number {
    return this.#unfinished.size;
  }

  /** What ends the upload, where something does. */
  get failure(): unknown {
    return this.#failure;
  }

  /** Nothing can be sent now: no server takes what is still to be sent. */
  get isStuck(): boolean {
    return this.#sending === 0 && this.#waiting.size > 0;
  }

  /** Sends what can be sent now. */
  pump(): void {
    if (this.#closed || this.#failure !== undefined) return;
    const { stores, now } = this.#parts;
    let looked = 0;
    let lacks = false;
    for (const chunk of this.#waiting) {
      if (this.#sending >= MOST_SENDING || looked++ >= MOST_LOOKED_AT) break;
      // Where nobody can be sent anything more, nothing has to be looked for.
      if (!stores.haveTurn && stores.open.length > 0) break;
      const { complete, targets } = placesWanted(chunk, stores, now());
      if (complete) {
        this.#waiting.delete(chunk);
        this.#finish(chunk);
        continue;
      }
      if (targets.length === 0) lacks = true;
      const entry = leastBusy(targets, now());
      if (entry === undefined) continue;
      this.#waiting.delete(chunk);
      // One that has failed gets its copy from here, and passes nothing on: it is to hold nobody else up.
      const next = entry.hasFailed ? [] : targets.filter((each) => each !== entry && !each.hasFailed);
      void this.#send(chunk, entry, next);
    }
    if (lacks) this.#parts.onLack();
    this.#wake();
  }

  /** Nothing is sent any more. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #finish(chunk: UploadChunk): void {
    chunk.order = undefined;
    this.steps++;
    this.#unfinished.delete(chunk);
    this.#parts.onDone(chunk);
    this.#parts.onChange();
  }

  /** A server that is left alone is asked again in time. */
  #wake(): void {
    clearTimeout(this.#timer);
    const pause = this.#parts.stores.untilNext;
    if (pause === undefined || this.#waiting.size === 0) return;
    this.#timer = setTimeout(() => this.pump(), pause + 1);
  }

  async #ask(store: Store, digests: readonly string[]): Promise<Bitmap> {
    try {
      return await this.#parts.ask(store, digests);
    } catch (error) {
      if (await this.#isExpired(error)) return this.#parts.ask(store, digests);
      this.#failed(store, error);
      throw error;
    }
  }

  async #send(chunk: UploadChunk, entry: Store, next: readonly Store[]): Promise<void> {
    const { stores, now, send } = this.#parts;
    this.#sending++;
    const chain = [entry, ...next];
    for (const each of chain) each.involved++;
    entry.meter.advance(now(), entry.sending > 0);
    entry.sending++;
    const began = now();
    const bytes = chunk.end - chunk.start;
    try {
      const { stored, failed } = await send(chunk, entry, next, stores.patienceWith(entry, bytes));
      entry.took(bytes, now() - began);
      chunk.sent = true;
      this.steps++;
      for (const id of stored) {
        chunk.holders.add(id);
        const store = stores.get(id);
        if (store !== undefined) stores.worked(store);
      }
      for (const { id, code, message } of failed) {
        const store = stores.get(id);
        // It was the token that was over on its way, not the server.
        if (store !== undefined && code !== 'HW_TOKEN_EXPIRED')
          stores.failed(store, toldError(code, message));
      }
      if (failed.length > 0) this.#parts.onLack();
    } catch (error) {
      await this.#sendFailed(chunk, chain, began, error);
    } finally {
      for (const each of chain) each.involved--;
      entry.meter.advance(now(), true);
      entry.sending--;
      this.#sending--;
    }
    // What was begun is brought to its end first.
    this.#waiting.add(chunk);
    this.pump();
  }

  async #sendFailed(
    chunk: UploadChunk,
    chain: readonly Store[],
    began: number,
    error: unknown,
  ): Promise<void> {
    try {
      if (await this.#isExpired(error)) return;
      if (isCode(error, 'HW_BAD_CHUNK')) await this.#parts.refuseChanged(chunk);
      // Which of them holds the chunk up cannot be seen from here; those that have taken another one meanwhile do not.
      const silent = isCode(error, 'HW_SILENT') ? chain.filter(({ workedAt }) => workedAt < began) : [];
      for (const each of silent.length > 0 ? silent : chain.slice(0, 1)) this.#failed(each, error);
    } catch (fatal) {
      this.#end(fatal);
    }
  }

  async #isExpired(error: unknown): Promise<boolean> {
    return isCode(error, 'HW_TOKEN_EXPIRED') && (await this.#parts.renew(error));
  }

  /** What is not the server's fault ends the upload. */
  #failed(store: Store, error: unknown): void {
    if (this.#closed) return;
    if (!isTheServers(error)) {
      this.#end(error);
      return;
    }
    this.#parts.stores.failed(store, error);
    this.#parts.onLack();
  }

  #end(failure: unknown): void {
    this.#failure ??= failure;
    this.#parts.onChange();
  }
}

/** Whether another server, or the same one later, can do better. */
function isTheServers(error: unknown): error is HeadwaterError {
  if (!(error instanceof HeadwaterError)) return false;
  // What a server says of its own disk comes with its status.
  if (error.details['status'] !== undefined) return true;
  return error.remedy === 'wait' ? error.code !== 'HW_INTERRUPTED' : error.remedy === 'other-source';
}

function isCode(error: unknown, code: string): error is HeadwaterError {
  return error instanceof HeadwaterError && error.code === code;
}

function leastBusy(stores: readonly Store[], now: number): Store | undefined {
  let best: Store | undefined;
  for (const store of stores) {
    if (store.hasTurn(now) && (best === undefined || store.sending < best.sending)) best = store;
  }
  return best;
}
