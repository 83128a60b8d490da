import type { UploadAnswer, UploadServers } from '../../core/api/uploads.ts';
import type { ChunkLayout } from '../../core/chunks.ts';
import { HeadwaterError } from '../../core/errors.ts';
import { Grant } from '../fleet/grant.ts';
import type { FleetClient } from '../fleet/fleet-client.ts';
import { Buffers } from './buffers.ts';
import { type CutChunk, type Cutting, openCutting } from './cutting.ts';
import { LEAST_AHEAD, MOST_AHEAD, PATIENCE, SERVERS_AGE } from './limits.ts';
import type { LocalFile } from './local-file.ts';
import { Sending } from './sending.ts';
import { askForChunks, sendChunk, type StoreAccess } from './store-calls.ts';
import { Stores, type Store } from './stores.ts';
import type { UploadChunk } from './upload-chunk.ts';
import { UploadProgress } from './upload-progress.ts';
import type { UploadSettings } from './upload-settings.ts';

export interface TransmissionParts {
  readonly client: FleetClient;
  readonly answer: UploadAnswer;
  readonly name: string;
  readonly file: LocalFile;
  readonly settings: UploadSettings;
  /** On the clock of `performance.now`. */
  readonly startedAt: number;
}

/** The way of one file's chunks into the fleet, and everything that runs for it. */
export class Transmission {
  /** Digests of the chunks, in order, as far as they are known. */
  readonly digests: string[] = [];
  readonly #parts: TransmissionParts;
  readonly #buffers = new Buffers();
  /** What servers were shown that answered with an error. */
  readonly #shown = new WeakMap<HeadwaterError, StoreAccess['headers']>();
  readonly #over = new AbortController();
  readonly #signal: AbortSignal;
  readonly #grant: Grant;
  readonly #stores: Stores;
  readonly #cutting: Cutting;
  readonly #sending: Sending;
  readonly #progress: UploadProgress;
  readonly #chunks = new Map<string, UploadChunk>();
  readonly #watch: NodeJS.Timeout;
  #change = Promise.withResolvers<void>();
  #failure: unknown;
  #refreshing = false;
  #refreshedAt = performance.now();
  /** What it waits for was said. */
  #waitSaid = false;
  #lastSteps = 0;
  #lastStepAt = performance.now();

  constructor(parts: TransmissionParts) {
    const { client, answer, name, file, settings, startedAt } = parts;
    const { onEvent, interval } = settings;
    const now = (): number => performance.now();
    this.#parts = parts;
    this.#signal = AbortSignal.any([settings.signal, this.#over.signal]);
    this.#signal.addEventListener('abort', () => this.#changed(), { once: true });
    this.#grant = new Grant(client, { ...answer, path: `v1/uploads/${answer.id}` }, this.#signal);
    this.#stores = new Stores(answer, now, onEvent);
    this.#cutting = openCutting(file);
    this.#sending = new Sending({
      stores: this.#stores,
      now,
      ask: (store, digests) => this.#at(store, (access) => askForChunks(access, digests)),
      send: (chunk, entry, next, patience) => this.#send(chunk, entry, next, patience),
      renew: (over) => this.#renew(over),
      refuseChanged: (chunk) => this.#refuseChanged(chunk),
      onLack: () => this.#refresh(),
      onDone: (chunk) => {
        this.#progress.done += chunk.end - chunk.start;
      },
      onChange: () => this.#changed(),
    });
    const { size } = file;
    this.#progress = new UploadProgress({ size, stores: this.#stores, now, startedAt, interval, onEvent });
    this.#watch = setInterval(() => this.#look(), 1000);
    const { chunkSize, count } = this.layout;
    onEvent({
      event: 'start',
      name,
      size,
      chunkSize,
      chunks: count,
      replicas: answer.replicas,
      zones: answer.zones,
      servers: this.#stores.open.length,
      keepUntil: answer.keepUntil,
    });
  }

  get layout(): ChunkLayout {
    return this.#cutting.layout;
  }

  /** Grows with everything that is done: whether it comes further is seen by it. */
  get steps(): number {
    return this.#sending.steps + this.digests.length;
  }

  get amounts(): { readonly bytesSent: number; readonly bytesSkipped: number } {
    let bytesSent = 0;
    for (const { sent, start, end } of this.#chunks.values()) if (sent) bytesSent += end - start;
    return { bytesSent, bytesSkipped: this.layout.size - bytesSent };
  }

  /**
   * Resolves with the digest of the whole when every chunk has its copies.
   *
   * @throws HeadwaterError
   */
  async sendAll(): Promise<string> {
    try {
      for await (const chunk of this.#cutting.chunks(() => this.#room())) this.#take(chunk);
      await this.#finished();
      return await this.#cutting.whole();
    } catch (error) {
      // What has become shorter cannot be read any more.
      if (error instanceof HeadwaterError && error.code === 'HW_DISK') await this.#parts.file.refuseChanged();
      throw error;
    }
  }

  /** Sends what the fleet says that it lacks; all of it where it does not say what. */
  async sendMissing(ranges: readonly (readonly [number, number])[] | undefined): Promise<void> {
    await this.#refreshNow();
    const missing = new Set<UploadChunk>();
    for (const [first, last] of ranges ?? [[0, this.digests.length - 1]]) {
      for (let index = Math.max(0, first); index <= Math.min(last, this.digests.length - 1); index++) {
        const chunk = this.#chunks.get(this.digests[index] ?? '');
        if (chunk !== undefined) missing.add(chunk);
      }
    }
    for (const chunk of missing) {
      this.#progress.done -= chunk.end - chunk.start;
      this.#sending.add(chunk);
    }
    await this.#finished();
  }

  /** It waits, for the information servers or what they wait for. */
  waits(error: HeadwaterError): void {
    if (!this.#waitSaid) {
      const message = `${error.message.replace(/\.$/, '')}; waiting`;
      this.#parts.settings.onEvent({ event: 'notice', message, code: error.code });
    }
    this.#waitSaid = true;
    this.#refuseImpatience(error);
  }

  lastWord(): void {
    this.#progress.tell();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort();
    clearInterval(this.#watch);
    this.#progress.close();
    this.#sending.close();
    await this.#cutting.close();
  }

  #take({ index, digest }: CutChunk): void {
    const { layout } = this;
    this.digests.push(digest);
    const [start, end] = [layout.start(index), layout.end(index)];
    this.#progress.hashed = end;
    if (this.#chunks.has(digest)) {
      this.#progress.done += end - start;
      return;
    }
    const chunk: UploadChunk = {
      digest,
      index,
      start,
      end,
      holders: new Set(),
      sent: false,
      order: undefined,
    };
    this.#chunks.set(digest, chunk);
    this.#sending.add(chunk);
  }

  /** No more is hashed than will soon be sent. */
  async #room(): Promise<void> {
    const most = Math.max(LEAST_AHEAD, MOST_AHEAD / this.layout.chunkSize);
    while (this.#sending.unfinished >= most) await this.#next();
    this.#refuseFailure();
  }

  async #finished(): Promise<void> {
    while (this.#sending.unfinished > 0) await this.#next();
    this.#refuseFailure();
  }

  async #next(): Promise<void> {
    this.#refuseFailure();
    await this.#change.promise;
    this.#refuseFailure();
  }

  #refuseFailure(): void {
    const { signal } = this.#parts.settings;
    if (signal.aborted) throw new HeadwaterError('HW_INTERRUPTED', 'stopped', { cause: signal.reason });
    const failure = this.#failure ?? this.#sending.failure;
    if (failure !== undefined) throw failure;
  }

  #changed(): void {
    this.#change.resolve();
    this.#change = Promise.withResolvers();
  }

  async #at<T>(store: Store, work: (access: StoreAccess) => Promise<T>): Promise<T> {
    const url = new URL(store.told.url.endsWith('/') ? store.told.url : `${store.told.url}/`);
    const dispatcher = await this.#parts.client.fileServer(url);
    const headers = this.#grant.headers();
    try {
      return await work({ url, dispatcher, headers, signal: this.#signal });
    } catch (error) {
      if (error instanceof HeadwaterError) this.#shown.set(error, headers);
      throw error;
    }
  }

  /** Many requests with one token fail at once: the first of them has it renewed. */
  async #renew(over: HeadwaterError): Promise<boolean> {
    const now = this.#grant.headers()['authorization'];
    return this.#shown.get(over)?.['authorization'] !== now || this.#grant.renew();
  }

  async #send(chunk: UploadChunk, entry: Store, next: readonly Store[], patience: number) {
    const { file } = this.#parts;
    let left = 0;
    try {
      const piece = {
        ...chunk,
        file,
        patience,
        buffers: this.#buffers,
        next: next.map(({ told }) => told.id),
        onBytes: (bytes: number) => {
          left += bytes;
          entry.bytes += bytes;
          entry.meter.add(bytes);
          this.#progress.onTheWay += bytes;
        },
      };
      return await this.#at(entry, (access) => sendChunk(access, piece));
    } finally {
      this.#progress.onTheWay -= left;
    }
  }

  async #refuseChanged({ index, digest }: UploadChunk): Promise<void> {
    const { file } = this.#parts;
    await file.refuseChanged();
    if ((await this.#cutting.digest(index)) !== digest) throw file.changed();
  }

  #refresh(): void {
    if (performance.now() - this.#refreshedAt < SERVERS_AGE) return;
    void this.#refreshNow();
  }

  async #refreshNow(): Promise<void> {
    if (this.#refreshing) return;
    this.#refreshing = true;
    try {
      const path = `v1/uploads/${this.#parts.answer.id}/servers`;
      const list = await this.#parts.client.ask<UploadServers>('GET', path, {
        signal: this.#signal,
        patience: 0,
      });
      this.#stores.take(list);
    } catch (error) {
      const passes = error instanceof HeadwaterError && error.remedy === 'wait';
      if (!passes && !this.#signal.aborted) this.#failure ??= error;
    } finally {
      this.#refreshing = false;
      this.#refreshedAt = performance.now();
    }
    this.#sending.pump();
    this.#changed();
  }

  /** Once a second: says that it waits, and gives up in the end. */
  #look(): void {
    if (this.steps > this.#lastSteps) {
      this.#lastSteps = this.steps;
      this.#lastStepAt = performance.now();
      this.#waitSaid = false;
    }
    if (!this.#sending.isStuck) return;
    this.#refresh();
    const lack = new HeadwaterError('HW_NO_ROOM', this.#stores.whyNone);
    try {
      this.waits(lack);
    } catch (error) {
      this.#failure ??= error;
      this.#changed();
    }
  }

  #refuseImpatience(cause: HeadwaterError): void {
    if (performance.now() - this.#lastStepAt < PATIENCE) return;
    const message = `${cause.message}; it came no further for ${PATIENCE / 60_000} minutes`;
    throw new HeadwaterError(cause.code, message, { cause, details: cause.details });
  }
}
