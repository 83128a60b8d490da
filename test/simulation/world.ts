import type { SchedulerApi } from '../../src/core/scheduler/types.ts';
import { BrokenPromise } from './broken-promise.ts';
import { Fetcher } from './fetcher.ts';
import { calmFrom, type Fleet } from './fleet.ts';
import type { Lane } from './lane.ts';
import type { SourceConnections } from './measure.ts';
import { type MakeScheduler, Scene } from './scene.ts';
import { shareRates } from './sharing.ts';
import { Verdicts } from './verdicts.ts';
import { Weather } from './weather.ts';

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
  /** Calls of `decide` that only `wakeAt` asked for. */
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
  /** Called after every `decide`, with the milliseconds of CPU that it took; for looking on. */
  readonly onDecide?: (scheduler: SchedulerApi, now: number, decideMs: number) => void;
}

/** How long a run is watched. */
export interface Patience {
  /** Milliseconds from the start after which it is given up. */
  readonly horizon: number;
  /** Milliseconds without a byte after which it is given up, once nothing changes any more in the fleet. */
  readonly quiet: number;
}

/** Most times that `decide` may say it wants to be called again at once. */
const MOST_REPEATS = 3;
/** Steps at one and the same time after which nothing moves any more. */
const MOST_STEPS_AT_ONCE = 20_000;
/** Long runs are read in longer steps, so that they end in our lifetime: this many to the time passed, up to ... */
const LONG_RUN_READS = 4000;
const MOST_READ_MS = 400;
/** How late a timer is, milliseconds, where the client calls `decide` no more often than it must. */
const LATE_MS = 1;
/** Every how many decides the views are looked at. */
const LOOK_EVERY = 64;

/** Runs a fleet until the file is there, or patience ends. */
export function runFleet(
  fleet: Fleet,
  make: MakeScheduler,
  patience: Patience,
  options: RunOptions = {},
): Run {
  return new World(fleet, make, options).run(patience);
}

/** Lets time pass: what is due happens, bytes flow, and the scheduler is asked what to do. */
class World {
  readonly #scene: Scene;
  readonly #onDecide: RunOptions['onDecide'];
  readonly #verdicts: Verdicts;
  readonly #fetcher: Fetcher;
  readonly #weather: Weather;
  readonly #eager: boolean;
  #nextRead = Infinity;
  #endAt: number | undefined;
  #decides = 0;
  #wakes = 0;

  constructor(fleet: Fleet, make: MakeScheduler, { log, onDecide }: RunOptions) {
    this.#scene = new Scene(fleet, make, log);
    this.#onDecide = onDecide;
    this.#eager = fleet.asks === 'eagerly';
    this.#verdicts = new Verdicts(this.#scene);
    this.#fetcher = new Fetcher(this.#scene, (lane, chunk, wrong) =>
      this.#verdicts.judge(lane, chunk, wrong),
    );
    this.#verdicts.advanceWindow();
    this.#weather = new Weather(this.#scene, this.#fetcher);
  }

  run({ horizon, quiet }: Patience): Run {
    const scene = this.#scene;
    const calm = calmFrom(scene.fleet);
    let heardAt = 0;
    let heard = 0;
    let stepsAtOnce = 0;
    for (;;) {
      while (scene.agenda.runDue(scene.now));
      this.#readDue();
      this.#ask();
      if (this.#isOver()) break;
      if (scene.flowChanged) this.#share();
      const next = this.#nextStep();
      if (scene.ledger.received > heard) {
        heard = scene.ledger.received;
        heardAt = scene.now;
      }
      if (next >= horizon || next > Math.max(calm, heardAt) + quiet) break;
      stepsAtOnce = next > scene.now ? 0 : stepsAtOnce + 1;
      if (stepsAtOnce > MOST_STEPS_AT_ONCE)
        throw new BrokenPromise('no live-lock', next, 'time stands still');
      this.#pass(next);
    }
    return this.#result();
  }

  #nextStep(): number {
    const { agenda, now, scheduler } = this.#scene;
    const event = Math.min(agenda.next, this.#nextLanding(), this.#nextRead);
    return Math.max(now, Math.min(event, scheduler.wakeAt + (this.#eager ? 0 : LATE_MS)));
  }

  #share(): void {
    const { sources, fleet, now } = this.#scene;
    this.#scene.flowChanged = false;
    shareRates(sources.values(), fleet.downlink);
    let flows = false;
    for (const { lanes } of sources.values()) for (const lane of lanes) if (lane.rate > 0) flows = true;
    if (!flows || !this.#eager) this.#nextRead = Infinity;
    else if (this.#nextRead === Infinity) this.#nextRead = now + this.#readMs;
  }

  get #readMs(): number {
    const { fleet, now } = this.#scene;
    return Math.max(fleet.readMs, Math.min(now / LONG_RUN_READS, MOST_READ_MS));
  }

  #nextLanding(): number {
    const { sources, book, now } = this.#scene;
    let next = Infinity;
    for (const { lanes } of sources.values()) {
      for (const lane of lanes) {
        if (lane.rate <= 0) continue;
        next = Math.min(next, now + (book.layout.end(lane.chunk) - lane.wire) / lane.rate);
      }
    }
    return next;
  }

  #pass(next: number): void {
    const { now, measure, sources } = this.#scene;
    const ms = next - now;
    if (this.#endAt === undefined) measure.pass(now, ms, this.#fetcher.holding);
    for (const { lanes } of sources.values()) {
      for (const lane of lanes) if (lane.rate > 0) lane.wire += lane.rate * ms;
    }
    this.#scene.now = next;
  }

  #readDue(): void {
    const { now, book } = this.#scene;
    const all = now >= this.#nextRead;
    if (all) this.#nextRead = now + this.#readMs;
    this.#read((lane) => all || lane.hasReached(book.layout.end(lane.chunk)));
  }

  #read(due: (lane: Lane) => boolean): void {
    for (const { lanes } of this.#scene.sources.values()) {
      for (const lane of lanes) if (lane.rate > 0 && due(lane)) this.#fetcher.read(lane);
    }
  }

  /** Asks the scheduler what to do: after every event, or no more often than a client must. */
  #ask(): void {
    const { scheduler, idle, fleet, now } = this.#scene;
    const asked = this.#scene.asked;
    const awake = now >= scheduler.wakeAt;
    if (!this.#eager && !asked && !awake) return;
    if (!this.#eager) this.#read(() => true);
    if (awake && !asked) this.#wakes++;
    this.#decide();
    const judgedByRate = fleet.rests === undefined && fleet.memory === undefined;
    if (judgedByRate) idle.look(now, this.#fetcher.holding);
  }

  #decide(): void {
    const { scheduler, referee, ledger, wasteBudget, now } = this.#scene;
    for (let repeat = 0; ; repeat++) {
      this.#scene.asked = false;
      const started = this.#onDecide === undefined ? 0 : threadMilliseconds();
      const actions = scheduler.decide(now);
      this.#onDecide?.(scheduler, now, threadMilliseconds() - started);
      this.#decides++;
      for (const action of actions) {
        this.#scene.note(() => JSON.stringify(action));
        referee.check(action, now, scheduler.finished);
        if (action.type !== 'source') this.#fetcher.act(action);
      }
      referee.afterDecide(now);
      if (this.#decides % LOOK_EVERY === 0) referee.views(scheduler, now);
      if (scheduler.wakeAt > now || scheduler.finished) break;
      if (actions.length === 0 || repeat === MOST_REPEATS) {
        const what = `decide wants to be called again at ${scheduler.wakeAt}, which is not later`;
        throw new BrokenPromise('no live-lock', now, what);
      }
    }
    if (ledger.hedging <= wasteBudget) return;
    const what = `${ledger.hedging} bytes were fetched twice by hedging; ${wasteBudget} are allowed`;
    throw new BrokenPromise('waste within the budget', now, what);
  }

  #isOver(): boolean {
    const { scheduler, book, sources, fleet, now } = this.#scene;
    const complete = book.doneCount === book.layout.count;
    if (complete !== scheduler.finished) {
      const what = `finished is ${scheduler.finished} with ${book.doneCount} chunks done`;
      throw new BrokenPromise('every chunk once', now, what);
    }
    if (!complete || this.#verdicts.checking) return false;
    if (fleet.verification === 'whole' && this.#verdicts.reopenSuspect()) return false;
    this.#endAt ??= now;
    this.#weather.stop();
    for (const { lanes } of sources.values()) {
      for (const lane of lanes) {
        if (!lane.alive) return false;
        const what = `lane ${lane.id} is still wanted though all is done`;
        throw new BrokenPromise('every chunk once', now, what);
      }
    }
    return !book.awaitsVerdict;
  }

  #result(): Run {
    const { scheduler, ledger, measure, sources, idle, wasteBudget, now } = this.#scene;
    if (this.#endAt !== undefined) this.#checkCount();
    const calm = new Set([...sources.keys()].filter((id) => this.#verdicts.isCalmAnchor(id)));
    return {
      endAt: this.#endAt,
      lastedMs: this.#endAt ?? now,
      idealAt: measure.idealAt,
      alone: measure.bestAlone(calm),
      receivedBytes: ledger.received,
      wastedBytes: ledger.wasted,
      hedgedBytes: ledger.hedging,
      wasteBudget,
      decides: this.#decides,
      wakes: this.#wakes,
      requests: this.#fetcher.requests,
      connections: measure.connections(),
      worstIdleMs: idle.worst,
      tailFrom: scheduler.tailFrom,
      reopened: this.#verdicts.reopened,
    };
  }

  #checkCount(): void {
    const { scheduler, ledger, now } = this.#scene;
    const { hedging, cutOff, wrong, replaced, wasted, received, kept } = ledger;
    const parts = `hedging ${hedging}, cut off ${cutOff}, wrong ${wrong}, replaced ${replaced}`;
    if (received !== kept + wasted) throw new Error(`the driver lost count: ${received}, ${kept}, ${parts}`);
    if (scheduler.wastedBytes === wasted) return;
    const what = `wastedBytes is ${scheduler.wastedBytes}: ${wasted} (${parts})`;
    throw new BrokenPromise('waste is counted', now, what);
  }
}

/** CPU time of this thread: other programs on the machine are not in it. */
function threadMilliseconds(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}
