import type { Action, Fault } from '../../src/core/scheduler/types.ts';
import { CONNECT_TIMEOUT_MS } from './fleet.ts';
import { type CancelAction, type FetchAction, Lane } from './lane.ts';
import type { Scene } from './scene.ts';
import type { SimulatedSource } from './source.ts';

/** Plays the client's part: makes the requests that the scheduler asks for, and tells it how they go. */
export class Fetcher {
  readonly #scene: Scene;
  readonly #judge: (lane: Lane, chunk: number, wrong: boolean) => void;
  /** The client reads nothing. */
  holding = false;
  /** Requests made. */
  requests = 0;

  /** @param judge is called with the verdict on a landed chunk. */
  constructor(scene: Scene, judge: (lane: Lane, chunk: number, wrong: boolean) => void) {
    this.#scene = scene;
    this.#judge = judge;
  }

  act(action: Exclude<Action, { type: 'source' }>): void {
    switch (action.type) {
      case 'fetch':
        return this.#fetch(action);
      case 'shorten':
        return this.#shorten(this.#scene.lane(action.lane), action.to);
      case 'cancel':
        return this.#cancel(this.#scene.lane(action.lane), action.reason);
      case 'close':
        this.#scene.source(action.source).open.delete(action.slot);
        return;
    }
  }

  #fetch(action: FetchAction): void {
    const { book, ledger, lanes, agenda, now } = this.#scene;
    const lane = new Lane(action, book.layout, now);
    const source = this.#scene.source(lane.source);
    lanes.set(lane.id, lane);
    source.lanes.add(lane);
    if (lane.hedge) ledger.hedge(lane.from);
    book.owe(lane.from, lane.to);
    this.requests++;
    if (this.holding) agenda.add(now, () => this.#setHeld(lane, this.holding));
    if (source.open.has(lane.slot)) this.#ask(lane, source);
    else agenda.add(now + source.script.connectMs, () => this.#connect(lane, source));
  }

  #connect(lane: Lane, source: SimulatedSource): void {
    if (lane.stage !== 'connecting') return;
    if (source.in('refuses')) return this.fail(lane, { kind: 'connect' });
    if (source.in('unplugged')) {
      if (lane.stuck) return;
      lane.stuck = true;
      this.#scene.agenda.add(lane.askedAt + CONNECT_TIMEOUT_MS, () => {
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
    this.#scene.agenda.add(this.#scene.now + source.answerMs, () => this.#answer(lane, source));
  }

  #answer(lane: Lane, source: SimulatedSource): void {
    if (lane.stage !== 'answering') return;
    if (lane.held || source.in('stopped', 'unplugged')) {
      lane.stuck = true;
      return;
    }
    lane.stuck = false;
    const fault = source.fault();
    if (fault !== undefined) return this.fail(lane, fault);
    const { now, idle, scheduler } = this.#scene;
    lane.stage = 'body';
    lane.heardAt = now;
    idle.started(source, now - lane.askedAt);
    scheduler.headArrived(lane.id, now);
    this.#scene.flowChanged = true;
  }

  /** Requests that waited for a source that answered nothing are answered now. */
  wake(source: SimulatedSource): void {
    const { agenda, now } = this.#scene;
    for (const lane of source.lanes) {
      if (!lane.stuck) continue;
      if (lane.stage === 'connecting') {
        agenda.add(now + source.script.connectMs, () => {
          lane.stuck = false;
          this.#connect(lane, source);
        });
      } else if (lane.stage === 'answering') {
        agenda.add(now + source.script.firstByteMs, () => this.#answer(lane, source));
      }
    }
    this.#scene.flowChanged = true;
  }

  /** Takes what the wire has brought. */
  read(lane: Lane): void {
    const { book, ledger, scheduler, now } = this.#scene;
    if (lane.stage !== 'body') return;
    const end = book.layout.end(lane.chunk);
    const whole = lane.hasReached(end) ? end : Math.min(Math.floor(lane.wire), end);
    const bytes = whole - lane.read;
    if (bytes > 0) {
      lane.read = whole;
      lane.wire = Math.max(lane.wire, whole);
      lane.heardAt = now;
      this.#scene.source(lane.source).received += bytes;
      ledger.received += bytes;
      scheduler.progress(lane.id, bytes, now);
    }
    if (whole === end) this.#land(lane);
  }

  #land(lane: Lane): void {
    const { book, scheduler, agenda, fleet, now, random } = this.#scene;
    const chunk = lane.chunk++;
    const wrong = this.#scene.source(lane.source).in('lies');
    book.land(chunk);
    scheduler.landed(lane.id, chunk, now);
    this.#scene.note(() => `landed ${lane.id} ${chunk}`);
    agenda.add(now + fleet.verifyMs * (0.5 + random()), () => this.#judge(lane, chunk, wrong));
    if (lane.chunk === lane.to) return this.#end(lane, undefined, lane.to < lane.requestedTo);
    if (fleet.memory !== undefined && random() < fleet.memory.share)
      this.#waitForMemory(lane, fleet.memory.ms);
  }

  /** There is no buffer for the next chunk of this lane for a while. */
  #waitForMemory(lane: Lane, ms: number): void {
    this.#setHeld(lane, true);
    this.#scene.agenda.add(this.#scene.now + ms, () => this.#setHeld(lane, this.holding));
  }

  #shorten(lane: Lane, to: number): void {
    const { book, agenda, now } = this.#scene;
    book.disown(to, lane.to);
    lane.to = to;
    if (lane.chunk < to) return;
    agenda.add(now, () => {
      if (lane.alive) this.#end(lane, undefined, true);
    });
  }

  #cancel(lane: Lane, reason: CancelAction['reason']): void {
    const { agenda, fleet, now } = this.#scene;
    lane.stage = 'cancelled';
    lane.cancelled = reason;
    lane.rate = 0;
    this.#scene.source(lane.source).open.delete(lane.slot);
    agenda.add(now + fleet.cancelMs, () => this.#end(lane, undefined, true));
    this.#scene.flowChanged = true;
  }

  /** The request ends other than well. */
  fail(lane: Lane, fault: Fault): void {
    if (!lane.alive) return;
    this.read(lane);
    if (!lane.alive) return;
    this.#scene.referee.faulted(lane, fault, this.#scene.now);
    this.#end(lane, fault, true);
  }

  #end(lane: Lane, fault: Fault | undefined, closed: boolean): void {
    const { book, ledger, scheduler, now } = this.#scene;
    const source = this.#scene.source(lane.source);
    if (lane.chunk < lane.to) {
      ledger.breakOff(lane, book.rivals(lane.chunk));
      book.disown(lane.chunk, lane.to);
    }
    lane.stage = 'ended';
    lane.rate = 0;
    source.lanes.delete(lane);
    if (closed) source.open.delete(lane.slot);
    this.#scene.note(() => `ended ${lane.id} ${fault?.kind ?? lane.cancelled ?? 'well'}`);
    scheduler.laneEnded(lane.id, fault, now);
    this.#scene.flowChanged = true;
    this.#scene.asked = true;
  }

  hold(held: boolean): void {
    this.holding = held;
    for (const source of this.#scene.sources.values()) {
      for (const lane of source.lanes) this.#setHeld(lane, held);
    }
  }

  #setHeld(lane: Lane, held: boolean): void {
    if (held) this.read(lane);
    if (lane.held === held || !lane.alive) return;
    const { scheduler, agenda, now } = this.#scene;
    lane.held = held;
    if (held) lane.heldAt = now;
    else lane.heardAt += now - lane.heldAt;
    this.#scene.flowChanged = true;
    scheduler.hold(lane.id, held, now);
    if (held || lane.stage !== 'answering' || !lane.stuck) return;
    agenda.add(now, () => this.#answer(lane, this.#scene.source(lane.source)));
  }
}
