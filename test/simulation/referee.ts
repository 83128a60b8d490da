import type { Action, Fault, SchedulerApi } from '../../src/core/scheduler/types.ts';
import { BrokenPromise, type PromiseName } from './broken-promise.ts';
import { type ChunkBook, earliestCut } from './chunk-book.ts';
import type { CancelAction, FetchAction, Lane } from './lane.ts';
import type { SimulatedSource } from './source.ts';

interface Standing {
  state: 'running' | 'waiting' | 'banned';
  /** When a waiting source may be asked again. */
  retryAt: number;
  /** Until when the server itself asked to be left alone, and how many requests it was answering beside that. */
  leaveAlone: number;
  answering: number;
  announced: boolean;
  badChunks: number;
}

/** Silence that a source may keep before a scheduler can call it silent, milliseconds. */
export const LEAST_PATIENCE_MS = 200;

/** Holds every single action to the contract in types.ts, with the driver's own knowledge of what is so. */
export class Referee {
  readonly #book: ChunkBook;
  readonly #sources: ReadonlyMap<number, SimulatedSource>;
  readonly #lanes: ReadonlyMap<number, Lane>;
  readonly #standing = new Map<number, Standing>();
  readonly #mostConnections: number;

  constructor(
    book: ChunkBook,
    sources: ReadonlyMap<number, SimulatedSource>,
    lanes: ReadonlyMap<number, Lane>,
    mostConnections: number,
  ) {
    this.#book = book;
    this.#sources = sources;
    this.#lanes = lanes;
    this.#mostConnections = mostConnections;
    for (const id of sources.keys()) {
      this.#standing.set(id, {
        state: 'running',
        retryAt: 0,
        leaveAlone: 0,
        answering: 0,
        announced: false,
        badChunks: 0,
      });
    }
  }

  /** Whether the scheduler may ask this source now, by its own word. */
  mayAsk(source: number, now: number): boolean {
    const standing = this.#of(source);
    return standing.state === 'running' || (standing.state === 'waiting' && now >= standing.retryAt);
  }

  isRunning(source: number): boolean {
    return this.#of(source).state === 'running';
  }

  isBanned(source: number): boolean {
    return this.#of(source).state === 'banned';
  }

  check(action: Action, now: number, finished: boolean): void {
    switch (action.type) {
      case 'fetch':
        if (finished) fail('every chunk once', now, 'a request was made though all is done');
        return this.#fetch(action, now);
      case 'shorten':
        return this.#shorten(this.#lane(action.lane, now), action.to, now);
      case 'cancel':
        return this.#cancel(action, now);
      case 'close':
        if (this.#onSlot(action.source, action.slot, now) !== undefined) {
          fail('one request a slot', now, `slot ${action.slot} of source ${action.source} closed while busy`);
        }
        return;
      case 'source':
        return this.#announced(action, now);
    }
  }

  #fetch(action: FetchAction, now: number): void {
    const { lane, source, slot, from, to, hedge } = action;
    const what = `lane ${lane} on source ${source}, slot ${slot}, chunks ${from} to ${to}`;
    if (this.#lanes.has(lane)) fail('lanes are used once', now, what);
    const asked = this.#joined(source, now);
    const standing = this.#of(source);
    if (asked.withdrawn) fail('asks nobody who is away', now, `${what}: the source is withdrawn`);
    if (standing.state === 'banned') fail('asks nobody who is away', now, `${what}: the source is banned`);
    if (!this.mayAsk(source, now)) {
      fail('asks nobody who is away', now, `${what}: the source waits until ${standing.retryAt}`);
    }
    // Who refuses one request while it answers others has enough of them; it may be asked as much as before.
    if (now < standing.leaveAlone && asked.lanes.size >= standing.answering) {
      fail('asks nobody who is away', now, `${what}: Retry-After lasts until ${standing.leaveAlone}`);
    }
    if (!Number.isInteger(slot) || slot < 0 || slot >= this.#mostConnections) {
      fail('one request a slot', now, `${what}: no such slot`);
    }
    const other = this.#onSlot(source, slot, now);
    if (other !== undefined) fail('one request a slot', now, `${what}: lane ${other.id} is on it`);
    if (!Number.isInteger(from) || from < 0 || to <= from || to > this.#book.layout.count) {
      fail('asks only for what is there', now, `${what}: no such chunks`);
    }
    if (to > this.#book.limit) fail('asks only for what is there', now, `${what}: limit ${this.#book.limit}`);
    if (hedge && to !== from + 1) fail('hedges only what is owed', now, `${what}: more than one chunk`);
    for (let chunk = from; chunk < to; chunk++) {
      if (!asked.holding.has(chunk))
        fail('asks only for what is there', now, `${what}: ${chunk} is not held`);
      if (this.#book.isBarred(chunk, source))
        fail('asks only for what is there', now, `${what}: ${chunk} is barred`);
      if (!hedge && !this.#book.isMissing(chunk))
        fail('every chunk once', now, `${what}: ${this.#whose(chunk)}`);
      if (hedge && (!this.#book.isOwed(chunk) || this.#book.hasLanded(chunk) || this.#book.isDone(chunk))) {
        fail('hedges only what is owed', now, `${what}: ${this.#whose(chunk)}`);
      }
    }
  }

  #whose(chunk: number): string {
    if (this.#book.isDone(chunk)) return `chunk ${chunk} is done`;
    if (this.#book.hasLanded(chunk)) return `chunk ${chunk} has landed`;
    for (const lane of this.#lanes.values()) if (lane.owes(chunk)) return `lane ${lane.id} owes ${chunk}`;
    return `chunk ${chunk} is missing`;
  }

  #shorten(lane: Lane, to: number, now: number): void {
    const what = `lane ${lane.id} (chunk ${lane.chunk} to ${lane.to}) cut to ${to}`;
    if (!lane.alive) fail('cuts only what has not begun', now, `${what}: it is ${lane.stage}`);
    if (to >= lane.to) fail('cuts only what has not begun', now, `${what}: it ends there already`);
    if (to < earliestCut(lane, this.#book.layout))
      fail('cuts only what has not begun', now, `${what}: begun`);
    if (to <= lane.from) fail('cuts only what has not begun', now, `${what}: nothing is left of it`);
  }

  #cancel(action: CancelAction, now: number): void {
    const lane = this.#lane(action.lane, now);
    const what = `lane ${lane.id} of source ${lane.source} cancelled as ${action.reason}`;
    if (!lane.alive) fail('says what is so', now, `${what}: it is ${lane.stage} already`);
    if (action.reason === 'silent') {
      const silence = now - lane.heardAt;
      if (lane.held || silence < LEAST_PATIENCE_MS) {
        fail('patient with those who send', now, `${what}: quiet for ${silence.toFixed(1)} ms`);
      }
    }
  }

  #announced(action: Extract<Action, { type: 'source' }>, now: number): void {
    const { source, state, fault, retryAt } = action;
    this.#joined(source, now);
    const standing = this.#of(source);
    const what = `source ${source} said to be ${state}`;
    if (standing.state === 'banned') fail('says what is so', now, `${what}: it is banned`);
    if (
      state === 'waiting' &&
      fault !== 'withdrawn' &&
      !(retryAt !== undefined && retryAt > now && retryAt < Infinity)
    ) {
      fail('says what is so', now, `${what} until ${retryAt}`);
    }
    if (state !== 'running' && fault === undefined) fail('says what is so', now, `${what}: no reason`);
    standing.state = state;
    standing.retryAt = retryAt ?? (state === 'waiting' ? Infinity : 0);
    standing.announced = true;
  }

  /** The driver is about to tell the scheduler of a fault. */
  faulted(lane: Lane, fault: Fault, now: number): void {
    if (fault.retryAfter === undefined) return;
    const standing = this.#of(lane.source);
    const { lanes } = this.#joined(lane.source, now);
    standing.leaveAlone = Math.max(standing.leaveAlone, now + fault.retryAfter);
    standing.answering = [...lanes].filter((other) => other !== lane && other.stage === 'body').length;
  }

  /** The driver is about to tell the scheduler that the source may be asked, whatever it asked for itself. */
  recalled(source: number): void {
    this.#of(source).leaveAlone = 0;
  }

  /** A wrong chunk of this source was found. */
  spoilt(source: number): void {
    this.#of(source).badChunks++;
  }

  /** After all actions of one `decide` were taken. */
  afterDecide(now: number): void {
    for (const source of this.#sources.values()) {
      if (!this.isBanned(source.id)) continue;
      for (const lane of source.lanes) {
        if (lane.alive)
          fail('says what is so', now, `lane ${lane.id} runs on source ${source.id}, which is banned`);
      }
    }
  }

  /** Holds what a report would say against what is so. */
  views(scheduler: SchedulerApi, now: number): void {
    for (const view of scheduler.views(now)) {
      const source = this.#joined(view.source, now);
      const standing = this.#of(view.source);
      const what = `the view of source ${view.source} says`;
      if (view.busy !== source.lanes.size) {
        fail('says what is so', now, `${what} ${view.busy} busy slots: ${source.lanes.size}`);
      }
      if (standing.announced && view.state !== standing.state) {
        fail('says what is so', now, `${what} ${view.state}; last said: ${standing.state}`);
      }
      if (!(view.rate >= 0 && view.rate < Infinity))
        fail('says what is so', now, `${what} rate ${view.rate}`);
      if (view.bytes !== source.received)
        fail('says what is so', now, `${what} ${view.bytes} bytes: ${source.received}`);
      if (view.badChunks !== standing.badChunks) {
        fail('says what is so', now, `${what} ${view.badChunks} bad chunks: ${standing.badChunks}`);
      }
    }
  }

  #of(source: number): Standing {
    const standing = this.#standing.get(source);
    if (standing === undefined) throw new RangeError(`no source ${source}`);
    return standing;
  }

  #joined(source: number, now: number): SimulatedSource {
    const found = this.#sources.get(source);
    if (found === undefined || !found.joined)
      return fail('says what is so', now, `source ${source} is unknown`);
    return found;
  }

  #lane(lane: number, now: number): Lane {
    return this.#lanes.get(lane) ?? fail('says what is so', now, `lane ${lane} is unknown`);
  }

  #onSlot(source: number, slot: number, now: number): Lane | undefined {
    for (const lane of this.#joined(source, now).lanes) if (lane.slot === slot) return lane;
    return undefined;
  }
}

function fail(promise: PromiseName, now: number, what: string): never {
  throw new BrokenPromise(promise, now, what);
}
