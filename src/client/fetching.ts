import type { ChunkLayout } from '../core/chunks.ts';
import type { FaultKind } from '../core/scheduler/types.ts';
import type { Destination } from './destinations/destination.ts';
import type { Settings } from './options.ts';
import type { Introduction, Source } from './sources/source.ts';
import type { Totals } from './totals.ts';
import { Transfer, type StateChange } from './transfer.ts';

interface Options {
  readonly settings: Settings;
  readonly layout: ChunkLayout;
  readonly wholeFile: boolean;
  readonly totals: Totals;
  /** A source refuses where its URL had led; it is asked anew. */
  readonly follow: (source: Source) => Promise<void>;
  readonly renew: (askedAt: number) => Promise<boolean>;
  readonly onState: (source: Source, change: StateChange) => void;
  readonly onBadChunk: (chunk: number, source: Source) => void;
  readonly onDone: (chunk: number, source: Source) => void;
}

/** Until when sources are waited for: for ever, while one is not banned, while one is not away. */
export type Patience = 'endless' | 'until banned' | 'until away';

/** No source of a transfer is worth waiting for. */
class Hopeless extends Error {}

/** Fetches what is missing, with one transfer after another. */
export class Fetching {
  readonly #options: Options;
  readonly #states = new Map<Source, StateChange['state']>();
  #transfer: Transfer | undefined;
  #running = false;
  /** Bytes that were there when the transfer began. */
  #before = 0;

  constructor(options: Options) {
    this.#options = options;
  }

  /** Sources are asked now. */
  get running(): boolean {
    return this.#running;
  }

  /** Sources would send, and we do not take: for want of memory, or since the output is slow. */
  get holding(): boolean {
    const willing = [...this.#states.values()].includes('running');
    return this.#running && willing && this.#transfer?.everyLaneHeld === true;
  }

  /** Nothing is under way. */
  get idle(): boolean {
    return this.#running && this.#transfer?.idle === true;
  }

  get tailFrom(): number | undefined {
    return this.#transfer?.tailFrom;
  }

  /** Bytes of the file that are here, whole chunks or not. */
  get bytes(): number {
    const { size } = this.#options.layout;
    let bytes = this.#before;
    for (const each of this.#transfer?.received.values() ?? []) bytes += each;
    return Math.min(size, Math.max(0, bytes - (this.#transfer?.wastedBytes ?? 0)));
  }

  /**
   * Fetches everything that is missing from these sources.
   *
   * @returns false when it was given up since none of them is worth waiting for
   * @throws what `stop` was called with, errors of the disk
   */
  async run(
    destination: Destination,
    sources: Iterable<readonly [Source, Introduction]>,
    patience: Patience,
  ): Promise<boolean> {
    const { layout, settings, wholeFile, totals } = this.#options;
    this.#states.clear();
    const transfer = new Transfer(
      {
        layout,
        done: destination.done,
        mostConnections: settings.mostConnections,
        fixedConnections: settings.fixedConnections,
        limit: settings.limit,
        mostHedge: destination.longestHedge,
        wholeFile,
        follow: this.#options.follow,
        renew: this.#options.renew,
        onState: (source, change) => this.#changed(transfer, source, change, patience),
        onBadChunk: this.#options.onBadChunk,
        onDone: this.#options.onDone,
      },
      (filler) => destination.sink(filler),
    );
    this.#before = bytesDone(destination, layout);
    this.#transfer = transfer;
    totals.follow(transfer);
    this.#running = true;
    try {
      for (const [source, introduction] of sources) this.#add(transfer, source, introduction);
      if (this.#states.size === 0 && patience !== 'endless') transfer.stop(new Hopeless());
      transfer.ask();
      await transfer.ended;
      return true;
    } catch (error) {
      if (error instanceof Hopeless) return false;
      throw error;
    } finally {
      await transfer.quiet();
      this.#running = false;
    }
  }

  add(source: Source, introduction: Introduction): void {
    if (this.#states.has(source) || !this.#running || this.#transfer === undefined) return;
    this.#add(this.#transfer, source, introduction);
  }

  #add(transfer: Transfer, source: Source, introduction: Introduction): void {
    this.#states.set(source, 'running');
    transfer.add(source, introduction);
  }

  ban(source: Source, fault: FaultKind, message: string): void {
    if (this.#running) this.#transfer?.ban(source, fault, message);
  }

  /** Asked nothing new until `recall`; with `cut`, what it sends is cut too. */
  withdraw(source: Source, message: string, cut: boolean): void {
    if (this.#running) this.#transfer?.withdraw(source, message, cut);
  }

  /** It may be asked again; false: it is none of those that are asked now. */
  recall(source: Source): boolean {
    return this.#running && this.#transfer?.recall(source) === true;
  }

  /** What the source holds has changed. */
  holdingChanged(source: Source): void {
    if (this.#running) this.#transfer?.holdingChanged(source);
  }

  /** Chunks that were done are missing again, and are not asked of `except`. */
  async reopen(destination: Destination, chunks: readonly number[], except: Source): Promise<void> {
    if (chunks.length === 0) return;
    if (this.#running && this.#transfer !== undefined) return this.#transfer.reopen(chunks, except);
    await destination.sink({ allow: () => {}, stop: () => {} }).undone(chunks);
  }

  stop(error: unknown): void {
    this.#transfer?.stop(error);
  }

  #changed(transfer: Transfer, source: Source, change: StateChange, patience: Patience): void {
    this.#states.set(source, change.state);
    this.#options.onState(source, change);
    if (patience === 'endless') return;
    const states = [...this.#states.values()];
    const hopeless = states.every(
      (state) => state === 'banned' || (patience === 'until away' && state === 'waiting'),
    );
    if (hopeless) transfer.stop(new Hopeless());
  }
}

function bytesDone(destination: Destination, layout: ChunkLayout): number {
  let bytes = 0;
  for (let chunk = 0; chunk < layout.count; chunk++) {
    if (destination.done.has(chunk)) bytes += layout.bytes(chunk);
  }
  return bytes;
}
