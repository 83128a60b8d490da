import type { Action, Fault, SchedulerApi } from '../../src/core/scheduler/types.ts';
import type { Agenda } from './agenda.ts';
import type { ChunkBook } from './chunk-book.ts';
import { CONNECT_TIMEOUT_MS, type Fleet } from './fleet.ts';
import type { IdleWatch } from './idle-watch.ts';
import { type CancelAction, type FetchAction, Lane } from './lane.ts';
import type { Ledger } from './ledger.ts';
import type { Referee } from './referee.ts';
import type { SimulatedSource } from './source.ts';

/** What the requests of a run touch. */
export interface Surroundings {
  readonly fleet: Fleet;
  readonly scheduler: SchedulerApi;
  readonly sources: ReadonlyMap<number, SimulatedSource>;
  readonly lanes: Map<number, Lane>;
  readonly book: ChunkBook;
  readonly ledger: Ledger;
  readonly referee: Referee;
  readonly idle: IdleWatch;
  readonly agenda: Agenda;
  readonly now: () => number;
  readonly random: () => number;
  /** Some lane began or ceased to flow. */
  readonly flowChanged: () => void;
  /** A verdict is there. */
  readonly judged: (lane: Lane, chunk: number, wrong: boolean) => void;
  readonly note: (text: () => string) => void;
}

/** Plays the client's part: makes the requests that the scheduler asks for, and tells it how they go. */
export class Fetcher {
  readonly #w: Surroundings;
  /** The client reads nothing. */
  holding = false;
  /** Requests made, and cancels for silence of sources that did send. */
  requests = 0;

  constructor(surroundings: Surroundings) {
    this.#w = surroundings;
  }

  act(action: Exclude<Action, { type: 'source' }>): void {
    switch (action.type) {
      case 'fetch':
        return this.#fetch(action);
      case 'shorten':
        return this.#shorten(this.#lane(action.lane), action.to);
      case 'cancel':
        return this.#cancel(this.#lane(action.lane), action.reason);
      case 'close':
        this.#source(action.source).open.delete(action.slot);
        return;
    }
  }

  #fetch(action: FetchAction): void {
    const { book, ledger, lanes, agenda, now } = this.#w;
    const lane = new Lane(action, book.layout, now());
    const source = this.#source(lane.source);
    lanes.set(lane.id, lane);
    source.lanes.add(lane);
    if (lane.hedge) ledger.hedge(lane.from);
    book.owe(lane.from, lane.to);
    this.requests++;
    if (source.open.has(lane.slot)) {
      this.#ask(lane, source);
      return;
    }
    agenda.add(now() + source.script.connectMs, () => this.#connect(lane, source));
  }

  #connect(lane: Lane, source: SimulatedSource): void {
    if (lane.stage !== 'connecting') return;
    if (source.in('refuses')) return this.fail(lane, { kind: 'connect' });
    if (source.in('unplugged')) {
      if (lane.stuck) return;
      lane.stuck = true;
      this.#w.agenda.add(lane.askedAt + CONNECT_TIMEOUT_MS, () => {
        if (lane.stage === 'connecting') this.fail(lane, { kind: 'connect' });
      });
      return;
    }
    source.open.add(lane.slot);
    this.#ask(lane, source);
  }

  #ask(lane: Lane, source: SimulatedSource): void {
    lane.stage = 'answering';
    lane.stuck = false;
    this.#w.agenda.add(this.#w.now() + source.answerMs, () => this.#answer(lane, source));
  }

  #answer(lane: Lane, source: SimulatedSource): void {
    if (lane.stage !== 'answering') return;
    if (source.in('stopped', 'unplugged')) {
      lane.stuck = true;
      return;
    }
    lane.stuck = false;
    const fault = source.fault();
    if (fault !== undefined) return this.fail(lane, fault);
    lane.stage = 'body';
    const now = this.#w.now();
    lane.heardAt = now;
    this.#w.idle.started(source, now - lane.askedAt);
    this.#w.scheduler.headArrived(lane.id, now);
    if (this.holding) this.#setHeld(lane, true);
    this.#w.flowChanged();
  }

  /** Requests that waited for a source that answered nothing are answered now. */
  wake(source: SimulatedSource): void {
    const { agenda, now } = this.#w;
    for (const lane of source.lanes) {
      if (!lane.stuck) continue;
      if (lane.stage === 'connecting') {
        agenda.add(now() + source.script.connectMs, () => {
          lane.stuck = false;
          this.#connect(lane, source);
        });
      } else if (lane.stage === 'answering') {
        agenda.add(now() + source.script.firstByteMs, () => this.#answer(lane, source));
      }
    }
    this.#w.flowChanged();
  }

  /** Takes what the wire has brought. */
  read(lane: Lane): void {
    const { book, scheduler, now } = this.#w;
    if (lane.stage !== 'body') return;
    const end = book.layout.end(lane.chunk);
    // The wire is counted in fractions: what is within a thousandth of a byte of the end is there.
    const whole = lane.wire >= end - 1e-3 ? end : Math.min(Math.floor(lane.wire), end);
    const bytes = whole - lane.read;
    if (bytes > 0) {
      lane.read = whole;
      lane.wire = Math.max(lane.wire, whole);
      lane.heardAt = now();
      this.#source(lane.source).received += bytes;
      this.#w.ledger.received += bytes;
      scheduler.progress(lane.id, bytes, now());
    }
    if (whole === end) this.#land(lane);
  }

  #land(lane: Lane): void {
    const { book, scheduler, agenda, fleet, now } = this.#w;
    const chunk = lane.chunk++;
    const wrong = this.#source(lane.source).in('lies');
    book.land(chunk);
    scheduler.landed(lane.id, chunk, now());
    this.#w.note(() => `landed ${lane.id} ${chunk}`);
    agenda.add(now() + fleet.verifyMs * (0.5 + this.#w.random()), () => this.#w.judged(lane, chunk, wrong));
    if (lane.chunk === lane.to) this.#end(lane, undefined, lane.to < lane.requestedTo);
  }

  #shorten(lane: Lane, to: number): void {
    const { book, agenda, now } = this.#w;
    book.disown(to, lane.to);
    lane.to = to;
    if (lane.chunk < to) return;
    agenda.add(now(), () => {
      if (lane.alive) this.#end(lane, undefined, true);
    });
  }

  #cancel(lane: Lane, reason: CancelAction['reason']): void {
    const { agenda, fleet, now } = this.#w;
    lane.stage = 'cancelled';
    lane.cancelled = reason;
    lane.rate = 0;
    this.#source(lane.source).open.delete(lane.slot);
    agenda.add(now() + fleet.cancelMs, () => this.#end(lane, undefined, true));
    this.#w.flowChanged();
  }

  /** The request ends other than well. */
  fail(lane: Lane, fault: Fault): void {
    if (!lane.alive) return;
    this.read(lane);
    if (!lane.alive) return;
    this.#w.referee.faulted(lane, fault, this.#w.now());
    this.#end(lane, fault, true);
  }

  #end(lane: Lane, fault: Fault | undefined, closed: boolean): void {
    const { book, ledger, scheduler, now } = this.#w;
    const source = this.#source(lane.source);
    if (lane.chunk < lane.to) {
      ledger.breakOff(lane, book.rivals(lane.chunk));
      book.disown(lane.chunk, lane.to);
    }
    lane.stage = 'ended';
    lane.rate = 0;
    source.lanes.delete(lane);
    if (closed) source.open.delete(lane.slot);
    this.#w.note(() => `ended ${lane.id} ${fault?.kind ?? lane.cancelled ?? 'well'}`);
    scheduler.laneEnded(lane.id, fault, now());
    this.#w.flowChanged();
  }

  hold(held: boolean): void {
    this.holding = held;
    for (const source of this.#w.sources.values()) {
      for (const lane of source.lanes) if (lane.stage === 'body') this.#setHeld(lane, held);
    }
    this.#w.flowChanged();
  }

  #setHeld(lane: Lane, held: boolean): void {
    if (lane.held === held) return;
    lane.held = held;
    lane.heardAt = this.#w.now();
    this.#w.scheduler.hold(lane.id, held, this.#w.now());
  }

  #source(id: number): SimulatedSource {
    const source = this.#w.sources.get(id);
    if (source === undefined) throw new RangeError(`no source ${id}`);
    return source;
  }

  #lane(id: number): Lane {
    const lane = this.#w.lanes.get(id);
    if (lane === undefined) throw new RangeError(`no lane ${id}`);
    return lane;
  }
}
