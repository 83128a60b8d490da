import { Bitmap } from '../../src/core/bitmap.ts';
import type {
  Action,
  Fault,
  FaultKind,
  SchedulerApi,
  SchedulerOptions,
  SourceView,
} from '../../src/core/scheduler/types.ts';
import type { Defect, NaiveLane, NaiveSource } from './naive-state.ts';

const SPAN_MS = 500;
const SILENCE_MS = 2000;
const FIRST_RETRY_MS = 250;
const MOST_RETRY_MS = 8000;
const FOREVER: readonly FaultKind[] = [
  'not-found',
  'not-allowed',
  'no-ranges',
  'wrong-range',
  'changed',
  'redirect',
  'tls',
  'disagrees',
  'bad-bytes',
  'protocol',
];

/**
 * A scheduler for trying out the harness: one connection to a source, spans of half a second, steals the far half,
 * hedges within the budget. Kept simple so that the promises can be seen to hold; `defect` breaks one of them.
 */
export class NaiveScheduler implements SchedulerApi {
  readonly done: Bitmap;
  wakeAt = Infinity;
  wastedBytes = 0;
  tailFrom: number | undefined;
  readonly #options: SchedulerOptions;
  readonly #defect: Defect | undefined;
  readonly #budget: number;
  #hedged = 0;
  #nextLane = 1;
  #limit: number;
  readonly #sources = new Map<number, NaiveSource>();
  readonly #lanes = new Map<number, NaiveLane>();
  readonly #ended = new Map<number, NaiveSource>();
  readonly #landed = new Map<number, number>();
  readonly #except = new Map<number, number>();
  readonly #pending: Action[] = [];
  /** Chunks that were hedged and are still on their way: each may yet waste its own size. */
  readonly #races = new Set<number>();

  constructor(options: SchedulerOptions, defect?: Defect) {
    this.#options = options;
    this.#defect = defect;
    const { layout } = options;
    this.done = new Bitmap(layout.count, options.done?.bytes);
    this.#limit = layout.count;
    this.#budget = options.wasteBudget ?? Math.max(layout.size * 0.01, 2 * layout.chunkSize);
  }

  get finished(): boolean {
    return this.done.count === this.#options.layout.count;
  }

  addSource(id: number, now: number, has?: Bitmap): void {
    this.#sources.set(id, {
      id,
      has,
      state: 'running',
      retryAt: 0,
      withdrawn: false,
      failures: 0,
      retryMs: FIRST_RETRY_MS,
      badChunks: 0,
      lane: undefined,
      rate: 0,
      since: now,
      bytes: 0,
      totalBytes: 0,
      busySince: now,
      busyMs: 0,
    });
  }

  setHas(id: number, has: Bitmap): void {
    const source = this.#sources.get(id);
    if (source !== undefined) source.has = has;
  }

  setLimit(limit: number): void {
    this.#limit = limit;
  }

  ban(id: number, fault: FaultKind): void {
    const source = this.#sources.get(id);
    if (source === undefined || source.state === 'banned') return;
    source.state = 'banned';
    this.#pending.push({ type: 'source', source: id, state: 'banned', fault });
    if (source.lane !== undefined && this.#defect !== 'ignores-bans')
      this.#cancel(source.lane, 'source-gone');
  }

  withdraw(id: number, cut: boolean): void {
    const source = this.#sources.get(id);
    if (source === undefined || source.state === 'banned') return;
    source.state = 'waiting';
    source.withdrawn = true;
    source.retryAt = Infinity;
    this.#pending.push({ type: 'source', source: id, state: 'waiting', fault: 'withdrawn' });
    if (cut && source.lane !== undefined) this.#cancel(source.lane, 'source-gone');
  }

  recall(id: number): void {
    const source = this.#sources.get(id);
    if (source === undefined) return;
    source.withdrawn = false;
    if (source.state !== 'waiting') return;
    source.state = 'running';
    this.#pending.push({ type: 'source', source: id, state: 'running' });
  }

  retry(id: number): void {
    if (this.#sources.get(id)?.withdrawn === false) this.recall(id);
  }

  headArrived(id: number, now: number): void {
    const lane = this.#lanes.get(id);
    if (lane === undefined) return;
    lane.heard = now;
    lane.source.since = now;
    lane.source.bytes = 0;
  }

  progress(id: number, bytes: number, now: number): void {
    const lane = this.#lanes.get(id);
    if (lane === undefined) return;
    const { source } = lane;
    lane.heard = now;
    lane.bytes += bytes;
    source.bytes += bytes;
    source.totalBytes += bytes;
    source.retryMs = FIRST_RETRY_MS;
    if (now > source.since) source.rate = source.bytes / (now - source.since);
    if (source.state !== 'waiting' || source.withdrawn) return;
    source.state = 'running';
    this.#pending.push({ type: 'source', source: source.id, state: 'running' });
  }

  hold(id: number, held: boolean, now: number): void {
    const lane = this.#lanes.get(id);
    if (lane === undefined || this.#defect === 'ignores-holds') return;
    lane.held = held;
    if (held) lane.heldAt = now;
    else lane.heard += now - lane.heldAt;
  }

  landed(id: number, chunk: number): void {
    const lane = this.#lanes.get(id);
    if (lane === undefined) return;
    lane.at = chunk + 1;
    lane.bytes = 0;
    this.#landed.set(chunk, (this.#landed.get(chunk) ?? 0) + 1);
  }

  verified(_lane: number, chunk: number): void {
    this.#judge(chunk);
    if (!this.done.add(chunk)) this.#waste(this.#bytes(chunk), true);
    if (this.#defect === 'keeps-losers') return;
    for (const lane of this.#lanes.values()) if (lane.at === chunk && chunk < lane.to) this.#lose(lane);
  }

  bad(id: number, chunk: number): void {
    this.#judge(chunk);
    this.#waste(this.#bytes(chunk), false);
    const source = this.#lanes.get(id)?.source ?? this.#ended.get(id);
    if (source === undefined) return;
    source.badChunks++;
    this.ban(source.id, 'bad-bytes');
  }

  reopen(chunks: readonly number[], except: number): void {
    for (const chunk of chunks) {
      if (!this.done.delete(chunk)) continue;
      this.#except.set(chunk, except);
      this.#waste(this.#bytes(chunk), false);
    }
  }

  laneEnded(id: number, fault: Fault | undefined, now: number): void {
    const lane = this.#lanes.get(id);
    if (lane === undefined) return;
    const { source } = lane;
    const beaten = this.done.has(lane.at) || this.#landed.has(lane.at) || this.#owners(lane.at) > 1;
    const byItself = fault !== undefined || lane.cancelled === 'silent';
    this.#waste(lane.bytes, beaten && (lane.hedge || !byItself));
    if (this.#defect !== 'loses-cancelled-chunks' || lane.cancelled === undefined) this.#lanes.delete(id);
    this.#ended.set(id, source);
    source.lane = undefined;
    source.busyMs += now - source.busySince;
    if (fault !== undefined) this.#away(source, fault, now);
    else if (lane.cancelled === 'silent') this.#away(source, { kind: 'silent' }, now);
  }

  decide(now: number): Action[] {
    const actions = this.#said();
    this.wakeAt = Infinity;
    if (this.finished) {
      if (this.#defect === 'keeps-losers') return actions;
      for (const lane of this.#lanes.values()) this.#lose(lane);
      actions.push(...this.#said());
      return actions;
    }
    const patience = this.#defect === 'is-impatient' ? 15 : SILENCE_MS;
    for (const lane of this.#lanes.values()) {
      if (lane.held || lane.cancelled !== undefined) continue;
      if (now >= lane.heard + patience) this.#cancel(lane, 'silent');
    }
    actions.push(...this.#said());
    for (const source of this.#sources.values()) {
      if (source.state === 'banned' && this.#defect !== 'ignores-bans') continue;
      if (this.#defect === 'uses-one-source' && source.id !== this.#sources.keys().next().value) continue;
      if (source.lane !== undefined && this.#defect !== 'uses-busy-slots') continue;
      if (source.state === 'waiting' && now < source.retryAt) {
        if (this.#defect !== 'never-retries') this.wakeAt = Math.min(this.wakeAt, source.retryAt);
        continue;
      }
      const action = this.#take(source, now, actions);
      if (action !== undefined) actions.push(action);
      else if (source.lane === undefined) this.tailFrom ??= now;
    }
    for (const lane of this.#lanes.values()) {
      if (lane.cancelled !== undefined) continue;
      this.wakeAt = Math.min(this.wakeAt, (lane.held ? now : lane.heard) + patience);
    }
    if (this.#defect === 'spins') this.wakeAt = now;
    return actions;
  }

  /** What is to be said, but for lanes that have ended meanwhile. */
  #said(): Action[] {
    return this.#pending
      .splice(0)
      .filter((action) => action.type !== 'cancel' || this.#lanes.has(action.lane));
  }

  views(now: number): SourceView[] {
    return [...this.#sources.values()].map((source) => ({
      source: source.id,
      state: source.state,
      rate: source.lane === undefined ? 0 : source.rate * 1000,
      busy: source.lane === undefined ? 0 : 1,
      bytes: source.totalBytes,
      busySeconds: (source.busyMs + (source.lane === undefined ? 0 : now - source.busySince)) / 1000,
      failures: source.failures,
      badChunks: source.badChunks,
    }));
  }

  #take(source: NaiveSource, now: number, actions: Action[]): Action | undefined {
    const from = this.#firstMissing(source);
    if (from !== undefined) return this.#fetch(source, from, this.#spanEnd(source, from), false, now);
    for (const lane of this.#lanesByEnd(source, now)) {
      const taken = this.#defect === 'never-steals' ? undefined : this.#steal(source, lane, now, actions);
      if (taken !== undefined) return taken;
    }
    return this.#hedge(source, now);
  }

  #steal(source: NaiveSource, lane: NaiveLane, now: number, actions: Action[]): Action | undefined {
    const firstFree = lane.bytes > 0 && this.#defect !== 'cuts-begun-chunks' ? lane.at + 1 : lane.at;
    const left = lane.to - Math.max(firstFree, lane.from + 1);
    for (let take = Math.ceil(left / 2); take > 0; take = Math.floor(take / 2)) {
      const { to } = lane;
      const cut = to - take;
      if (!this.#canTakeOver(source, cut, to)) continue;
      actions.push({ type: 'shorten', lane: lane.id, to: cut });
      lane.to = cut;
      return this.#fetch(source, cut, to, false, now);
    }
    return undefined;
  }

  #hedge(source: NaiveSource, now: number): Action | undefined {
    let reserved = 0;
    for (const chunk of this.#races) {
      if (this.#owners(chunk) === 0 && !this.#landed.has(chunk)) this.#races.delete(chunk);
      else reserved += this.#bytes(chunk);
    }
    for (const lane of this.#lanes.values()) {
      const chunk = lane.at;
      if (
        chunk >= lane.to ||
        lane.hedge ||
        lane.source === source ||
        !this.#allHeld(source, chunk, chunk + 1)
      )
        continue;
      const free = !this.#races.has(chunk) && !this.#landed.has(chunk) && !this.done.has(chunk);
      if (!free && this.#defect !== 'hedges-nothing-owed') continue;
      const fits = this.#hedged + reserved + this.#bytes(chunk) <= this.#budget;
      if (fits || this.#defect === 'hedges-over-budget')
        return this.#fetch(source, chunk, chunk + 1, true, now);
    }
    return undefined;
  }

  #fetch(source: NaiveSource, from: number, to: number, hedge: boolean, now: number): Action {
    const id = this.#defect === 'reuses-lanes' && this.#nextLane > 3 ? 1 : this.#nextLane++;
    if (hedge) this.#races.add(from);
    const lane: NaiveLane = {
      id,
      source,
      hedge,
      at: from,
      bytes: 0,
      to,
      from,
      heard: now,
      held: false,
      heldAt: 0,
      cancelled: undefined,
    };
    this.#lanes.set(id, lane);
    source.lane = lane;
    source.busySince = now;
    return { type: 'fetch', lane: id, source: source.id, slot: 0, from, to, hedge };
  }

  #firstMissing(source: NaiveSource): number | undefined {
    const end = this.#defect === 'ignores-limit' ? this.#options.layout.count : this.#limit;
    for (let chunk = 0; chunk < end; chunk++) if (this.#isFree(source, chunk)) return chunk;
    return undefined;
  }

  #spanEnd(source: NaiveSource, from: number): number {
    const end = this.#defect === 'ignores-limit' ? this.#options.layout.count : this.#limit;
    const wanted = source.rate * SPAN_MS * (this.#defect === 'never-steals' ? 10 : 1);
    let to = from + 1;
    while (to < end && this.#isFree(source, to) && this.#options.layout.bytes(from, to + 1) <= wanted) to++;
    return to;
  }

  #isFree(source: NaiveSource, chunk: number): boolean {
    if (this.done.has(chunk) || this.#landed.has(chunk)) return false;
    if (this.#defect === 'forgets-a-chunk' && chunk === 2) return false;
    if (this.#defect !== 'fetches-owed-chunks' && this.#owners(chunk) > 0) return false;
    return this.#allHeld(source, chunk, chunk + 1);
  }

  #allHeld(source: NaiveSource, from: number, to: number): boolean {
    for (let chunk = from; chunk < to; chunk++) {
      if (this.#defect !== 'ignores-holdings' && source.has?.has(chunk) === false) return false;
      if (this.#defect !== 'asks-barred-sources' && this.#except.get(chunk) === source.id) return false;
    }
    return true;
  }

  #canTakeOver(source: NaiveSource, from: number, to: number): boolean {
    for (let chunk = from; chunk < to; chunk++)
      if (this.#owners(chunk) > 1 || this.#landed.has(chunk)) return false;
    return this.#allHeld(source, from, to);
  }

  #owners(chunk: number): number {
    let owners = 0;
    for (const lane of this.#lanes.values()) if (chunk >= lane.at && chunk < lane.to) owners++;
    return owners;
  }

  /** Lanes that end later than `source` could bring their last chunk; the last to end first. */
  #lanesByEnd(source: NaiveSource, now: number): NaiveLane[] {
    const ends: { lane: NaiveLane; endsIn: number }[] = [];
    for (const lane of this.#lanes.values()) {
      if (lane.source === source || lane.cancelled !== undefined || lane.at >= lane.to) continue;
      const left = this.#options.layout.bytes(lane.at, lane.to) - lane.bytes;
      const average = lane.source.bytes / Math.max(1, now - lane.source.since);
      const endsIn = left / Math.max(Math.min(lane.source.rate, average), 1e-6);
      if (source.rate === 0 || this.#bytes(lane.to - 1) / source.rate < endsIn) ends.push({ lane, endsIn });
    }
    return ends.sort((a, b) => b.endsIn - a.endsIn).map(({ lane }) => lane);
  }

  #cancel(lane: NaiveLane, reason: 'silent' | 'lost' | 'source-gone'): void {
    if (lane.cancelled !== undefined) return;
    lane.cancelled = reason;
    this.#pending.push({ type: 'cancel', lane: lane.id, reason });
  }

  #lose(lane: NaiveLane): void {
    this.#cancel(lane, 'lost');
  }

  #away(source: NaiveSource, fault: Fault, now: number): void {
    source.failures++;
    if (source.state === 'banned') return;
    if (FOREVER.includes(fault.kind)) return this.ban(source.id, fault.kind);
    if (source.withdrawn) return;
    const asked = this.#defect === 'ignores-retry-after' ? 0 : (fault.retryAfter ?? 0);
    source.state = 'waiting';
    source.retryAt = now + Math.max(asked, source.retryMs * (1 + this.#options.random() / 4));
    source.retryMs = Math.min(source.retryMs * 2, MOST_RETRY_MS);
    const { id, retryAt } = source;
    this.#pending.push({ type: 'source', source: id, state: 'waiting', fault: fault.kind, retryAt });
  }

  #judge(chunk: number): void {
    const landed = (this.#landed.get(chunk) ?? 0) - 1;
    if (landed > 0) this.#landed.set(chunk, landed);
    else this.#landed.delete(chunk);
  }

  #waste(bytes: number, hedging: boolean): void {
    if (hedging) this.#hedged += bytes;
    if (this.#defect !== 'forgets-waste') this.wastedBytes += bytes;
  }

  #bytes(chunk: number): number {
    return this.#options.layout.bytes(chunk);
  }
}
