import { Bitmap } from '../../src/core/bitmap.ts';
import type { SchedulerApi, SchedulerOptions } from '../../src/core/scheduler/types.ts';
import { Agenda } from './agenda.ts';
import { BrokenPromise } from './broken-promise.ts';
import { ChunkBook } from './chunk-book.ts';
import { Fetcher } from './fetcher.ts';
import { bitmapOf, calmFrom, type Fleet, layoutOf, type SourceScript, type Trouble } from './fleet.ts';
import { IdleWatch } from './idle-watch.ts';
import type { Lane } from './lane.ts';
import { Ledger } from './ledger.ts';
import { Measure, type SourceConnections } from './measure.ts';
import { seededRandom } from './random.ts';
import { Referee } from './referee.ts';
import { shareRates } from './sharing.ts';
import { SimulatedSource } from './source.ts';

export type MakeScheduler = (options: SchedulerOptions) => SchedulerApi;

/** How a run went. Times are milliseconds from the start. */
export interface Run {
  /** When all was done; undefined when it was not by the horizon. */
  readonly endAt: number | undefined;
  /** How long it was watched. */
  readonly lastedMs: number;
  /** When a client that knows everything beforehand would have been done. */
  readonly idealAt: number;
  /** When the best of the sources that stay calm and hold everything would have been done alone. */
  readonly alone: { readonly withOne: number; readonly withMany: number };
  readonly receivedBytes: number;
  readonly wastedBytes: number;
  readonly hedgedBytes: number;
  readonly wasteBudget: number;
  readonly decides: number;
  readonly wakes: number;
  readonly requests: number;
  readonly connections: readonly SourceConnections[];
  /** Longest time in which a source was idle though it could have shortened the end. */
  readonly worstIdleMs: number;
  readonly tailFrom: number | undefined;
  /** Liars were found after the fact, and chunks fetched anew. */
  readonly reopened: boolean;
}

export interface RunOptions {
  /** Called with every event and action; for finding out what went on. */
  readonly log?: (line: string) => void;
  /** Called after every `decide`; for looking on. */
  readonly onDecide?: (scheduler: SchedulerApi, now: number, decideMs: number) => void;
}

/** Most times that `decide` may say it wants to be called again at once. */
const MOST_REPEATS = 3;
/** Steps at one and the same time after which nothing moves any more. */
const MOST_STEPS_AT_ONCE = 20_000;
const WAVER_MS = 300;
const LONG_RUN_READS = 4000;
const MOST_READ_MS = 400;

/** How long a run is watched. */
export interface Patience {
  /** Milliseconds from the start after which it is given up. */
  readonly horizon: number;
  /** Milliseconds without a byte after which it is given up, once nothing changes any more in the fleet. */
  readonly quiet: number;
}

/** Runs a fleet until the file is there, or patience ends. */
export function runFleet(
  fleet: Fleet,
  make: MakeScheduler,
  patience: Patience,
  options: RunOptions = {},
): Run {
  return new World(fleet, make, options).run(patience);
}

class World {
  readonly #fleet: Fleet;
  readonly #options: RunOptions;
  readonly #random: () => number;
  readonly #agenda = new Agenda();
  readonly #sources: SimulatedSource[];
  readonly #byId = new Map<number, SimulatedSource>();
  readonly #lanes = new Map<number, Lane>();
  readonly #book: ChunkBook;
  readonly #ledger: Ledger;
  readonly #referee: Referee;
  readonly #idle: IdleWatch;
  readonly #measure: Measure;
  readonly #scheduler: SchedulerApi;
  readonly #fetcher: Fetcher;
  readonly #resumed: Bitmap;
  /** Which source gave each done chunk, and whether wrongly. */
  readonly #givers = new Map<number, { readonly source: number; readonly wrong: boolean }>();
  readonly #wasteBudget: number;
  #now = 0;
  #flowChanged = true;
  #nextRead = Infinity;
  #endAt: number | undefined;
  #checking = false;
  /** What this liar gave has been fetched again from others. */
  #convicted: number | undefined;
  #reopened = false;
  #decides = 0;
  #wakes = 0;

  constructor(fleet: Fleet, make: MakeScheduler, options: RunOptions) {
    const layout = layoutOf(fleet);
    this.#fleet = fleet;
    this.#options = options;
    this.#random = seededRandom(fleet.seed);
    this.#resumed = fleet.resumed ? bitmapOf(layout.count, fleet.resumed) : new Bitmap(layout.count);
    // Ids are the caller's to choose: neither from 0 nor without gaps.
    this.#sources = fleet.sources.map((script, index) => {
      const holding = bitmapOf(layout.count, script.part ?? { seed: 0, share: 1 });
      return new SimulatedSource(3 * index + 1, script, holding);
    });
    for (const source of this.#sources) this.#byId.set(source.id, source);
    this.#book = new ChunkBook(layout);
    this.#ledger = new Ledger(layout);
    this.#referee = new Referee(this.#book, this.#byId, this.#lanes, fleet.mostConnections ?? 16);
    this.#idle = new IdleWatch(this.#book, this.#referee, this.#sources);
    let wanted = 0;
    for (let chunk = 0; chunk < layout.count; chunk++) {
      if (this.#resumed.has(chunk)) this.#book.finish(chunk);
      else wanted += layout.bytes(chunk);
    }
    this.#measure = new Measure(this.#sources, fleet.downlink, wanted);
    this.#measure.holdings(this.#book, (chunk) => !this.#resumed.has(chunk));
    this.#wasteBudget = fleet.wasteBudget ?? Math.max(layout.size * 0.01, 2 * layout.chunkSize);
    this.#scheduler = make({
      layout,
      random: seededRandom(fleet.seed + 1),
      ...(fleet.resumed && { done: this.#resumed }),
      ...(fleet.mostConnections !== undefined && { mostConnections: fleet.mostConnections }),
      ...(fleet.fixedConnections !== undefined && { fixedConnections: fleet.fixedConnections }),
      ...(fleet.wasteBudget !== undefined && { wasteBudget: fleet.wasteBudget }),
    });
    this.#fetcher = new Fetcher({
      fleet,
      scheduler: this.#scheduler,
      sources: this.#byId,
      lanes: this.#lanes,
      book: this.#book,
      ledger: this.#ledger,
      referee: this.#referee,
      idle: this.#idle,
      agenda: this.#agenda,
      now: () => this.#now,
      random: this.#random,
      flowChanged: () => (this.#flowChanged = true),
      judged: (lane, chunk, wrong) => this.#judged(lane, chunk, wrong),
      note: (text) => this.#note(text),
    });
  }

  run({ horizon, quiet }: Patience): Run {
    const calm = calmFrom(this.#fleet);
    let heardAt = 0;
    let heard = 0;
    this.#advanceWindow();
    for (const source of this.#sources) this.#schedule(source);
    for (const { at, lasts } of this.#fleet.holds) {
      this.#agenda.add(at, () => this.#hold(true));
      this.#agenda.add(at + lasts, () => this.#hold(false));
    }
    let stepsAtOnce = 0;
    let byWake = false;
    for (;;) {
      while (this.#agenda.runDue(this.#now));
      this.#readDue();
      this.#decide(byWake);
      if (this.#isOver()) break;
      if (this.#flowChanged) this.#share();
      const event = Math.min(this.#agenda.next, this.#nextLanding(), this.#nextRead);
      const next = Math.max(this.#now, Math.min(event, this.#scheduler.wakeAt));
      if (this.#ledger.received > heard) {
        heard = this.#ledger.received;
        heardAt = this.#now;
      }
      if (next >= horizon || next > Math.max(calm, heardAt) + quiet) break;
      byWake = event > next;
      stepsAtOnce = next > this.#now ? 0 : stepsAtOnce + 1;
      if (stepsAtOnce > MOST_STEPS_AT_ONCE)
        throw new BrokenPromise('no live-lock', next, 'time stands still');
      this.#pass(next);
    }
    return this.#result();
  }

  #schedule(source: SimulatedSource): void {
    const { script, id } = source;
    this.#agenda.add(script.joinsAt, () => {
      source.joined = true;
      this.#note(() => `joins ${id}`);
      const whole = source.holding.count === this.#book.layout.count;
      this.#scheduler.addSource(
        id,
        this.#now,
        whole && script.part === undefined ? undefined : source.holding,
      );
    });
    for (const { at, rate } of script.rate.slice(1)) {
      this.#agenda.add(at, () => {
        source.setRate(rate);
        this.#flowChanged = true;
      });
    }
    for (const { at, share } of script.grows)
      this.#agenda.add(Math.max(at, script.joinsAt), () => this.#grow(source, share));
    for (const trouble of script.troubles) {
      this.#agenda.add(trouble.at, () => this.#begin(source, trouble));
      if (trouble.kind === 'resets' || trouble.kind === 'found-out') continue;
      this.#agenda.add(trouble.at + trouble.lasts, () => {
        this.#note(() => `${script.joinsAt <= this.#now ? 'source' : 'absent'} ${id} over ${trouble.kind}`);
        source.end(trouble);
        this.#fetcher.wake(source);
      });
    }
    if (script.jitter > 0) this.#waver(source);
  }

  #waver(source: SimulatedSource): void {
    this.#agenda.add(this.#now + WAVER_MS * (0.5 + this.#random()), () => {
      source.waver(this.#random());
      this.#flowChanged = true;
      if (this.#endAt === undefined) this.#waver(source);
    });
  }

  #grow(source: SimulatedSource, share: number): void {
    const seed = source.script.part?.seed ?? 0;
    const grown = bitmapOf(this.#book.layout.count, { seed, share });
    if (grown.count <= source.holding.count) return;
    source.holding = grown;
    this.#measure.holdings(this.#book, (chunk) => !this.#resumed.has(chunk));
    this.#scheduler.setHas(source.id, grown, this.#now);
  }

  #begin(source: SimulatedSource, trouble: Trouble): void {
    this.#note(() => `source ${source.id} ${trouble.kind}`);
    if (trouble.kind === 'found-out') {
      if (source.joined) this.#scheduler.ban(source.id, trouble.fault ?? 'disagrees', this.#now);
      return;
    }
    if (trouble.kind !== 'resets') source.begin(trouble);
    this.#flowChanged = true;
    if (trouble.kind !== 'refuses' && trouble.kind !== 'resets') return;
    source.open.clear();
    for (const lane of source.lanes) this.#fetcher.fail(lane, { kind: 'connect' });
  }

  #hold(held: boolean): void {
    this.#note(() => (held ? 'holds' : 'reads again'));
    this.#fetcher.hold(held);
  }

  #share(): void {
    this.#flowChanged = false;
    shareRates(this.#sources, this.#fleet.downlink);
    let flows = false;
    for (const { lanes } of this.#sources) for (const lane of lanes) if (lane.rate > 0) flows = true;
    if (!flows) this.#nextRead = Infinity;
    else if (this.#nextRead === Infinity) this.#nextRead = this.#now + this.#readMs;
  }

  /** Long runs are read in longer steps, so that they end in our lifetime. */
  get #readMs(): number {
    return Math.max(this.#fleet.readMs, Math.min(this.#now / LONG_RUN_READS, MOST_READ_MS));
  }

  #nextLanding(): number {
    let next = Infinity;
    for (const { lanes } of this.#sources) {
      for (const lane of lanes) {
        if (lane.rate <= 0) continue;
        next = Math.min(next, this.#now + (this.#book.layout.end(lane.chunk) - lane.wire) / lane.rate);
      }
    }
    return next;
  }

  #pass(next: number): void {
    const ms = next - this.#now;
    if (this.#endAt === undefined) this.#measure.pass(this.#now, ms, this.#fetcher.holding);
    for (const { lanes } of this.#sources) {
      for (const lane of lanes) if (lane.rate > 0) lane.wire += lane.rate * ms;
    }
    this.#now = next;
  }

  #readDue(): void {
    const all = this.#now >= this.#nextRead;
    if (all) this.#nextRead = this.#now + this.#readMs;
    for (const { lanes } of this.#sources) {
      for (const lane of lanes) {
        if (lane.rate > 0 && (all || lane.wire >= this.#book.layout.end(lane.chunk) - 1e-3))
          this.#fetcher.read(lane);
      }
    }
    if (all) this.#idle.look(this.#now, this.#fetcher.holding);
  }

  #decide(byWake: boolean): void {
    if (byWake) this.#wakes++;
    for (let repeat = 0; ; repeat++) {
      const started = this.#options.onDecide === undefined ? 0 : performance.now();
      const actions = this.#scheduler.decide(this.#now);
      this.#options.onDecide?.(this.#scheduler, this.#now, performance.now() - started);
      this.#decides++;
      for (const action of actions) {
        this.#note(() => JSON.stringify(action));
        this.#referee.check(action, this.#now, this.#scheduler.finished);
        if (action.type !== 'source') this.#fetcher.act(action);
      }
      this.#referee.afterDecide(this.#now);
      if (this.#decides % 64 === 0) this.#referee.views(this.#scheduler, this.#now);
      if (this.#scheduler.wakeAt > this.#now || this.#endAt !== undefined) break;
      if (actions.length === 0 || repeat === MOST_REPEATS) {
        const what = `decide wants to be called again at ${this.#scheduler.wakeAt}, which is not later`;
        throw new BrokenPromise('no live-lock', this.#now, what);
      }
    }
    this.#checkBudget();
  }

  #checkBudget(): void {
    if (this.#ledger.hedging <= this.#wasteBudget) return;
    const what = `${this.#ledger.hedging} bytes were fetched twice by hedging; ${this.#wasteBudget} are allowed`;
    throw new BrokenPromise('waste within the budget', this.#now, what);
  }

  #judged(lane: Lane, chunk: number, wrong: boolean): void {
    const scheduler = this.#scheduler;
    const wasDone = scheduler.done.has(chunk);
    if (wasDone !== this.#book.isDone(chunk)) this.#lost(chunk);
    this.#book.judge(chunk);
    if (wrong && this.#fleet.verification === 'chunks') {
      this.#note(() => `bad ${lane.id} ${chunk}`);
      this.#ledger.spoil(chunk);
      this.#referee.spoilt(lane.source);
      scheduler.bad(lane.id, chunk, this.#now);
      if (scheduler.done.has(chunk) !== wasDone) this.#lost(chunk);
      return;
    }
    this.#note(() => `verified ${lane.id} ${chunk}`);
    if (wasDone) {
      this.#ledger.duplicate(chunk);
    } else {
      this.#book.finish(chunk);
      this.#ledger.keep(chunk);
      this.#givers.set(chunk, { source: lane.source, wrong });
    }
    scheduler.verified(lane.id, chunk, this.#now);
    if (!scheduler.done.has(chunk) || scheduler.done.count !== this.#book.doneCount) this.#lost(chunk);
    this.#advanceWindow();
  }

  #lost(chunk: number): never {
    const { done } = this.#scheduler;
    const what = `chunk ${chunk} ${done.has(chunk) ? 'counts' : 'does not count'} as done, with ${done.count} in all`;
    throw new BrokenPromise('every chunk once', this.#now, what);
  }

  #advanceWindow(): void {
    if (this.#fleet.window === undefined) return;
    const limit = Math.min(this.#book.front + this.#fleet.window, this.#book.layout.count);
    if (limit < this.#book.limit && this.#now > 0) return;
    this.#book.limit = limit;
    this.#scheduler.setLimit(limit);
  }

  #isOver(): boolean {
    const complete = this.#book.doneCount === this.#book.layout.count;
    if (complete !== this.#scheduler.finished) {
      const what = `finished is ${this.#scheduler.finished} with ${this.#book.doneCount} chunks done`;
      throw new BrokenPromise('every chunk once', this.#now, what);
    }
    if (!complete || this.#checking) return false;
    if (this.#fleet.verification === 'whole' && this.#reopenSuspect()) return false;
    this.#endAt ??= this.#now;
    for (const { lanes } of this.#sources) {
      for (const lane of lanes) {
        if (!lane.alive) return false;
        const what = `lane ${lane.id} is still wanted though all is done`;
        throw new BrokenPromise('every chunk once', this.#now, what);
      }
    }
    return this.#agenda.next === Infinity || !this.#awaitsVerdict();
  }

  #awaitsVerdict(): boolean {
    for (let chunk = 0; chunk < this.#book.layout.count; chunk++)
      if (this.#book.hasLanded(chunk)) return true;
    return false;
  }

  /** When the whole is wrong, has what one source gave fetched again from others. */
  #reopenSuspect(): boolean {
    if (this.#convicted !== undefined) {
      if (!this.#referee.isBanned(this.#convicted))
        this.#scheduler.ban(this.#convicted, 'bad-bytes', this.#now);
      this.#convicted = undefined;
    }
    const suspects = new Set<number>();
    let guilty: number | undefined;
    for (const { source, wrong } of this.#givers.values()) {
      if (!this.#referee.isBanned(source)) suspects.add(source);
      if (wrong) guilty = source;
    }
    if (guilty === undefined) return false;
    const innocent = [...suspects].filter((id) => this.#isCalmAnchor(id));
    const calm = this.#sources.filter(({ id }) => this.#isCalmAnchor(id)).length;
    const doubted = calm > 1 && innocent.length > 0 && this.#random() < 0.3 ? innocent[0] : undefined;
    const suspect = doubted ?? guilty;
    this.#checking = true;
    this.#agenda.add(this.#now + this.#fleet.verifyMs, () => {
      this.#checking = false;
      this.#reopened = true;
      const chunks = [...this.#givers].filter(([, { source }]) => source === suspect).map(([chunk]) => chunk);
      this.#note(() => `reopens ${chunks.length} chunks of source ${suspect}`);
      for (const chunk of chunks) {
        this.#book.reopen(chunk, suspect, this.#now);
        this.#ledger.reopen(chunk);
        this.#givers.delete(chunk);
      }
      this.#scheduler.reopen(chunks, suspect, this.#now);
      if (suspect === guilty) this.#convicted = suspect;
    });
    return true;
  }

  #isCalmAnchor(id: number): boolean {
    const script = this.#byId.get(id)?.script;
    return script !== undefined && isCalm(script) && script.part === undefined;
  }

  #result(): Run {
    const calm = new Set(this.#sources.filter(({ id }) => this.#isCalmAnchor(id)).map(({ id }) => id));
    if (this.#endAt !== undefined) {
      this.#checkBudget();
      if (this.#ledger.received !== this.#ledger.kept + this.#ledger.wasted)
        throw new Error(`the driver lost count: ${JSON.stringify(this.#ledger)}`);
      if (this.#scheduler.wastedBytes !== this.#ledger.wasted) {
        const { hedging, cutOff, wrong, replaced, wasted } = this.#ledger;
        const what = `wastedBytes is ${this.#scheduler.wastedBytes}: ${wasted} (hedging ${hedging}, cut off ${cutOff}, wrong ${wrong}, replaced ${replaced})`;
        throw new BrokenPromise('waste is counted', this.#now, what);
      }
    }
    return {
      endAt: this.#endAt,
      lastedMs: this.#endAt ?? this.#now,
      idealAt: this.#measure.idealAt,
      alone: this.#measure.bestAlone(calm),
      receivedBytes: this.#ledger.received,
      wastedBytes: this.#ledger.wasted,
      hedgedBytes: this.#ledger.hedging,
      wasteBudget: this.#wasteBudget,
      decides: this.#decides,
      wakes: this.#wakes,
      requests: this.#fetcher.requests,
      connections: this.#measure.connections(),
      worstIdleMs: this.#idle.worst,
      tailFrom: this.#scheduler.tailFrom,
      reopened: this.#reopened,
    };
  }

  #note(text: () => string): void {
    this.#options.log?.(`${this.#now.toFixed(3)} ${text()}`);
  }
}

/** Nothing goes wrong on this source. */
export function isCalm(script: SourceScript): boolean {
  return script.troubles.length === 0 && script.accepts === Infinity;
}
