import { fullBitmap, type Bitmap } from '../core/bitmap.ts';
import type { ChunkLayout } from '../core/chunks.ts';
import { FAULTS } from '../core/scheduler/faults.ts';
import { Scheduler } from '../core/scheduler/scheduler.ts';
import type { Action, Fault, FaultKind, SchedulerApi, SourceView } from '../core/scheduler/types.ts';
import { ASLEEP } from './asleep.ts';
import { LaneRun, type LaneHost } from './lane.ts';
import { Limiter } from './limiter.ts';
import type { ChunkWriter, Sink } from './destinations/sink.ts';
import type { SourceError } from './sources/fault.ts';
import type { Introduction, Source } from './sources/source.ts';

/** How an address that was good for a while says that it is no more. */
const STALE: ReadonlySet<FaultKind> = new Set(['not-allowed', 'not-found', 'redirect']);
/** Milliseconds that following a redirect anew is given before the source is asked again all the same. */
const FOLLOW_TIME = 500;
/** Milliseconds that new credentials are waited for; a source is asked again as soon as they are there. */
const RENEWAL_TIME = 600_000;

interface Options {
  readonly layout: ChunkLayout;
  /** Chunks that are there already. */
  readonly done: Bitmap;
  readonly mostConnections: number;
  readonly fixedConnections: boolean;
  /** Bytes a second over all. */
  readonly limit: number | undefined;
  /** Longest chunk, in bytes, that is worth holding in memory for a hedge. */
  readonly mostHedge: number;
  /** The only source answers no ranges: it is asked for everything at once. */
  readonly wholeFile: boolean;
  /** Finds out anew where the source's URL leads; resolves when that is known, or cannot be. */
  readonly follow: (source: Source) => Promise<void>;
  /** Gets new credentials in the place of those that were used at a time; false: there are none. */
  readonly renew: (askedAt: number) => Promise<boolean>;
  readonly onState: (source: Source, change: StateChange) => void;
  /** The source sent wrong bytes for a chunk whose digest is known. */
  readonly onBadChunk: (chunk: number, source: Source) => void;
  /** A chunk is right and in its place. */
  readonly onDone: (chunk: number, source: Source) => void;
}

export interface StateChange {
  readonly state: 'running' | 'waiting' | 'banned';
  readonly fault?: FaultKind;
  readonly message?: string;
  /** Milliseconds until it is asked again. */
  readonly retryIn?: number;
}

/**
 * Runs the scheduler against real sources: carries its actions out, tells it what happens, until every chunk is done or
 * it is stopped.
 */
export class Transfer {
  readonly #options: Options;
  readonly #scheduler: SchedulerApi;
  readonly #sources = new Map<number, Source>();
  readonly #introductions = new Map<number, Introduction>();
  readonly #lanes = new Map<number, LaneRun>();
  readonly #messages = new Map<number, string>();
  /** Sources whose redirect is followed anew, and those for which that was done since they last gave a chunk. */
  readonly #following = new Set<Source>();
  readonly #followed = new Set<Source>();
  readonly #limiter: Limiter | undefined;
  readonly #host: LaneHost;
  readonly #end: { promise: Promise<void>; resolve: () => void; reject: (error: unknown) => void } =
    Promise.withResolvers<void>();
  /** Chunks that are right but not in their place yet. */
  #committing = 0;
  #runs = 0;
  #settled: (() => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** When the scheduler was to look again at the latest. */
  #due = Infinity;
  /** The lane that reads first when a rate limit lets all go on. */
  #turn = 0;
  #asked = false;
  #over = false;
  /** Bytes received from each source in this run. */
  readonly received = new Map<number, number>();
  /** When bytes came last. */
  lastBytesAt: number | undefined;

  constructor(options: Options, makeSink: (transfer: Transfer) => Sink) {
    this.#options = options;
    const { layout, done, mostConnections, fixedConnections, limit, wholeFile } = options;
    this.#scheduler = new Scheduler({
      layout,
      done,
      mostConnections: wholeFile ? 1 : mostConnections,
      fixedConnections: fixedConnections || wholeFile,
      wholeFile,
      random: Math.random,
      mostHedge: options.mostHedge,
    });
    if (limit !== undefined)
      this.#limiter = new Limiter(limit, this.now(), (stop) => this.#stopReading(stop));
    this.#host = {
      layout,
      sink: makeSink(this),
      now: () => this.now(),
      mostPiece: this.#limiter?.piece ?? Infinity,
      headArrived: (lane) => this.#scheduler.headArrived(lane.id, this.now()),
      landed: (lane, chunk, writer) => this.#landed(lane, chunk, writer),
      took: (bytes) => this.#took(bytes),
      skipped: (lane) => this.#scheduler.progress(lane.id, 0, this.now()),
      hold: (lane, held) => this.#hold(lane, held),
      failed: (error) => this.stop(error),
    };
  }

  now(): number {
    return performance.now();
  }

  /** Resolves when every chunk is done and in its place; rejects with what `stop` was called with. */
  get ended(): Promise<void> {
    return this.#end.promise;
  }

  get wastedBytes(): number {
    return this.#scheduler.wastedBytes;
  }

  /** When a source first had nothing left to do; undefined when that never happened. */
  get tailFrom(): number | undefined {
    return this.#scheduler.tailFrom;
  }

  /** No lane waits for bytes: each is kept from reading, or there is none. */
  get everyLaneHeld(): boolean {
    return this.#limiter?.stopped === true || [...this.#lanes.values()].every((lane) => lane.held);
  }

  /** Nothing is under way. */
  get idle(): boolean {
    return this.#lanes.size === 0 && this.#committing === 0;
  }

  views(): SourceView[] {
    return this.#scheduler.views(this.now());
  }

  /** A source that may be asked from now on. */
  add(source: Source, introduction: Introduction): void {
    if (this.#over) return;
    this.#sources.set(source.id, source);
    this.#introductions.set(source.id, introduction);
    this.#scheduler.addSource(source.id, this.now(), source.has);
    this.ask();
  }

  /** The source is asked nothing new until `recall`; with `cut`, what it sends is cut too. */
  withdraw(source: Source, message: string, cut: boolean): void {
    if (this.#over || !this.#sources.has(source.id)) return;
    this.#messages.set(source.id, message);
    this.#scheduler.withdraw(source.id, cut, this.now());
    this.ask();
  }

  /** It may be asked again; false: it is none of this transfer's. */
  recall(source: Source): boolean {
    if (!this.#sources.has(source.id)) return false;
    this.#scheduler.recall(source.id, this.now());
    this.ask();
    return true;
  }

  /** What the source holds has changed. */
  holdingChanged(source: Source): void {
    if (this.#over || !this.#sources.has(source.id)) return;
    this.#scheduler.setHas(source.id, source.has ?? fullBitmap(this.#options.layout.count), this.now());
    this.ask();
  }

  /** Not asked any more. */
  ban(source: Source, fault: FaultKind, message: string): void {
    if (this.#over) return;
    this.#messages.set(source.id, message);
    this.#scheduler.ban(source.id, fault, this.now());
    this.ask();
  }

  /** Chunks that were done are fetched again from others than `except`. */
  async reopen(chunks: readonly number[], except: Source): Promise<void> {
    await this.#host.sink.undone(chunks);
    this.#scheduler.reopen(chunks, except.id, this.now());
    this.ask();
  }

  /** Only chunks below `limit` may come in. */
  allow(limit: number): void {
    this.#scheduler.setLimit(limit);
    this.ask();
  }

  /** Ends it with an error. What is under way is cut; `quiet` tells when nothing writes any more. */
  stop(error: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.#close();
    this.#end.reject(error);
  }

  /** Resolves when no lane runs and no chunk is on its way to its place. */
  async quiet(): Promise<void> {
    if (this.#runs === 0 && this.#committing === 0) return;
    await new Promise<void>((resolve) => {
      this.#settled = resolve;
    });
  }

  #close(): void {
    clearTimeout(this.#timer);
    this.#limiter?.close();
    for (const lane of this.#lanes.values()) lane.cancel();
  }

  /** Has the scheduler look again, soon and once for everything that happens till then. */
  ask(): void {
    if (this.#asked || this.#over) return;
    this.#asked = true;
    queueMicrotask(() => {
      this.#asked = false;
      this.#step();
    });
  }

  #step(): void {
    if (this.#over) return;
    for (const lane of this.#lanes.values()) this.#report(lane);
    const now = this.now();
    // We were stopped, not the sources: each has its time again.
    if (now - this.#due > ASLEEP) for (const lane of this.#lanes.values()) this.#hold(lane, lane.held);
    for (const action of this.#scheduler.decide(now)) {
      this.#carryOut(action, now);
      // Who heard of it may have stopped us: a lane begun after that would be nobody's to cut.
      if (this.#over) return;
    }
    if (this.#scheduler.finished && this.#committing === 0) {
      this.#over = true;
      this.#close();
      this.#end.resolve();
      return;
    }
    clearTimeout(this.#timer);
    const { wakeAt } = this.#scheduler;
    this.#due = wakeAt;
    if (wakeAt < Infinity) this.#timer = setTimeout(() => this.ask(), Math.max(1, wakeAt - this.now()));
  }

  #carryOut(action: Action, now: number): void {
    switch (action.type) {
      case 'fetch':
        return this.#fetch(action);
      case 'shorten':
        return this.#lanes.get(action.lane)?.shorten(action.to);
      case 'cancel': {
        const lane = this.#lanes.get(action.lane);
        if (action.reason === 'silent' && lane !== undefined) {
          this.#messages.set(lane.source.id, `${lane.source.shown} has stopped sending`);
        }
        return lane?.cancel();
      }
      case 'close':
        return this.#sources.get(action.source)?.closeSlot(action.slot);
      case 'source': {
        const source = this.#sources.get(action.source);
        if (source === undefined) return;
        const { state, fault, retryAt } = action;
        const message = this.#messages.get(source.id);
        this.#options.onState(source, {
          state,
          ...(fault === undefined ? {} : { fault, message: message ?? FAULTS[fault].code }),
          ...(retryAt === undefined ? {} : { retryIn: retryAt - now }),
        });
      }
    }
  }

  #fetch(action: Extract<Action, { type: 'fetch' }>): void {
    const source = this.#sources.get(action.source);
    const introduction = this.#introductions.get(action.source);
    if (source === undefined || introduction === undefined) throw new Error(`no source ${action.source}`);
    const lane = new LaneRun(this.#host, source, introduction, action);
    this.#lanes.set(lane.id, lane);
    this.#runs++;
    lane.run().then(
      (failure) => this.#ended(lane, failure),
      (error: unknown) => this.stop(error),
    );
    if (this.#limiter?.stopped === true) {
      lane.pause(true);
      this.#scheduler.hold(lane.id, true, this.now());
    }
  }

  #ended(lane: LaneRun, failure: { fault: Fault; error: SourceError } | undefined): void {
    this.#report(lane);
    this.#lanes.delete(lane.id);
    lane.leave();
    this.#runs--;
    if (failure !== undefined) this.#messages.set(lane.source.id, failure.error.message);
    this.#scheduler.laneEnded(lane.id, failure && this.#mend(lane, failure.fault), this.now());
    this.#settle();
    this.ask();
  }

  /**
   * An address that a redirect led to refuses all at once: the redirect is followed anew before the source is given up,
   * once for each time that it gave something.
   */
  #mend(lane: LaneRun, fault: Fault): Fault {
    const { source } = lane;
    if (fault.kind === 'expired') return this.#renew(lane, fault);
    if (fault.kind === 'not-here') this.#lacks(lane);
    if (!STALE.has(fault.kind)) return fault;
    // It was asked where the URL does not lead any more.
    if (lane.outdated) return { kind: 'unavailable', retryAfter: 0 };
    if (!this.#following.has(source)) {
      if (this.#followed.has(source) || !source.worthFollowing(fault.kind)) return fault;
      this.#followed.add(source);
      this.#following.add(source);
      void this.#options.follow(source).finally(() => {
        this.#following.delete(source);
        if (this.#over) return;
        this.#scheduler.retry(source.id, this.now());
        this.ask();
      });
    }
    return { kind: 'unavailable', retryAfter: FOLLOW_TIME };
  }

  /** The source waits for new credentials, and is asked again at once when they are there. */
  #renew({ source, askedAt }: LaneRun, fault: Fault): Fault {
    this.#options.renew(askedAt).then(
      (renewed) => {
        if (this.#over) return;
        if (renewed) this.#scheduler.retry(source.id, this.now());
        else this.#scheduler.ban(source.id, fault.kind, this.now());
        this.ask();
      },
      (error: unknown) => this.stop(error),
    );
    return { ...fault, retryAfter: RENEWAL_TIME };
  }

  /** Asked for one chunk, it says that it does not hold it. Of more than one, it is not known which. */
  #lacks({ source, from, to }: LaneRun): void {
    if (to - from !== 1) return;
    source.lacks(from, this.#options.layout);
    this.holdingChanged(source);
  }

  #landed(lane: LaneRun, chunk: number, writer: ChunkWriter): void {
    const now = this.now();
    this.#report(lane);
    this.#scheduler.landed(lane.id, chunk, now);
    this.#followed.delete(lane.source);
    this.#committing++;
    this.#judge(lane, chunk, writer)
      .catch((error: unknown) => this.stop(error))
      .finally(() => {
        this.#committing--;
        this.#settle();
        if (this.#scheduler.finished) this.ask();
      });
  }

  async #judge(lane: LaneRun, chunk: number, writer: ChunkWriter): Promise<void> {
    // After the end too: what was received until then is kept.
    const right = await writer.finish();
    const first = !this.#scheduler.done.has(chunk);
    if (right) this.#scheduler.verified(lane.id, chunk, this.now());
    else {
      this.#messages.set(lane.source.id, `${lane.source.shown} sent wrong bytes (chunk ${chunk})`);
      this.#scheduler.bad(lane.id, chunk, this.now());
      this.#options.onBadChunk(chunk, lane.source);
    }
    if (!right || this.#scheduler.tailFrom !== undefined) this.ask();
    if (!right || !first) return writer.abandon();
    // Its rival is cut now: one that had not begun to write yet could do so after the hedge has.
    if (lane.hedge) this.#step();
    await writer.commit();
    this.#host.sink.done(chunk);
    this.#options.onDone(chunk, lane.source);
  }

  #settle(): void {
    if (this.#runs === 0 && this.#committing === 0) this.#settled?.();
  }

  #report(lane: LaneRun): void {
    if (lane.unreported === 0) return;
    this.#scheduler.progress(lane.id, lane.unreported, this.now());
    this.received.set(lane.source.id, (this.received.get(lane.source.id) ?? 0) + lane.unreported);
    lane.unreported = 0;
  }

  #took(bytes: number): void {
    this.lastBytesAt = this.now();
    this.#limiter?.took(bytes, this.lastBytesAt);
  }

  #hold(lane: LaneRun, held: boolean): void {
    this.#scheduler.hold(lane.id, held || (this.#limiter?.stopped ?? false), this.now());
  }

  #stopReading(stop: boolean): void {
    for (const lane of stop ? this.#lanes.values() : this.#inTurn()) {
      // The bytes that one of them had kept are what may come for now: the others go first the next time.
      if (!stop && this.#limiter?.stopped === true) {
        this.#turn = lane.id;
        return;
      }
      lane.pause(stop);
      this.#scheduler.hold(lane.id, stop || lane.held, this.now());
    }
  }

  /** All lanes, beginning with the one whose turn it is. */
  #inTurn(): LaneRun[] {
    const lanes = [...this.#lanes.values()];
    const first = lanes.findIndex((lane) => lane.id >= this.#turn);
    return first < 0 ? lanes : [...lanes.slice(first), ...lanes.slice(0, first)];
  }
}
