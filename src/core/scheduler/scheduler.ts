import type { Bitmap } from '../bitmap.ts';
import { ConnectionTrials } from './connections.ts';
import { Ledger } from './ledger.ts';
import { advance, bytesArrived, headArrived, held, viewOf } from './observed.ts';
import { isSilent, patience, quietFor } from './silence.ts';
import { spanChunks, worthTaking } from './span.ts';
import { Standing } from './standing.ts';
import { busyLanes, newLane, newSource, offers, type Lane, type Source } from './state.ts';
import { spansUnderWay, tailWork, type Span } from './tail.ts';
import type { Action, Fault, FaultKind, SchedulerApi, SchedulerOptions, SourceView } from './types.ts';
import { Waste } from './waste.ts';

/** Most connections to one source when the caller names no number. */
export const MOST_CONNECTIONS = 16;
/** Milliseconds between looks at what flows, while something does. */
const TICK = 250;
/** The same while a source has nothing to do: the end is near. */
const TAIL_TICK = 50;

/** The state machine that decides which source fetches what next. */
export class Scheduler implements SchedulerApi {
  readonly #ledger: Ledger;
  readonly #sources = new Map<number, Source>();
  #ordered: Source[] = [];
  readonly #lanes = new Map<number, Lane>();
  readonly #trials: ConnectionTrials;
  readonly #mostConnections: number;
  readonly #fixed: boolean;
  readonly #wholeFile: boolean;
  readonly #mostHedge: number;
  readonly #standing: Standing;
  readonly #waste: Waste;
  #actions: Action[] = [];
  /** What is under way, during one `decide`. */
  #spans: readonly Span[] | undefined;
  #lastLane = 0;
  #received = 0;
  #wakeAt = 0;
  tailFrom: number | undefined;

  constructor(options: SchedulerOptions) {
    const { layout } = options;
    this.#ledger = new Ledger(layout, options.done);
    this.#mostConnections = options.mostConnections ?? MOST_CONNECTIONS;
    this.#fixed = options.fixedConnections ?? false;
    this.#wholeFile = options.wholeFile ?? false;
    this.#mostHedge = options.mostHedge ?? Infinity;
    this.#waste = new Waste(layout, options.wasteBudget);
    this.#trials = new ConnectionTrials(this.#fixed ? 0 : this.#mostConnections, layout.chunkSize);
    this.#standing = new Standing({
      trials: this.#trials,
      random: options.random,
      act: (action) => this.#act(action),
      cancel: (lane, reason) => this.#cancel(lane, reason),
    });
  }

  get finished(): boolean {
    return this.#ledger.finished;
  }

  get done(): Bitmap {
    return this.#ledger.done;
  }

  get wastedBytes(): number {
    return this.#waste.bytes;
  }

  get wakeAt(): number {
    return this.#wakeAt;
  }

  // What happened

  addSource(id: number, now: number, has?: Bitmap): void {
    if (this.#sources.has(id)) throw new Error(`source ${id} is there already`);
    this.#sources.set(id, newSource(id, now, has, this.#fixed ? this.#mostConnections : 1));
    this.#ordered = [...this.#sources.values()];
    this.#act({ type: 'source', source: id, state: 'running' });
  }

  setHas(id: number, has: Bitmap): void {
    this.#source(id).has = has;
    this.#ledger.holdersChanged();
  }

  withdraw(id: number, cut: boolean, now: number): void {
    this.#standing.withdraw(this.#source(id), cut, now);
  }

  recall(id: number, now: number): void {
    this.#standing.recall(this.#source(id), now);
  }

  retry(id: number, now: number): void {
    this.#standing.retry(this.#source(id), now);
  }

  ban(id: number, fault: FaultKind, now: number): void {
    this.#standing.ban(this.#source(id), fault, now);
  }

  setLimit(limit: number): void {
    this.#ledger.limit = Math.max(Math.min(limit, this.#ledger.layout.count), 0);
    this.#trials.inOrder = this.#ledger.limit < this.#ledger.layout.count;
  }

  headArrived(id: number, now: number): void {
    headArrived(this.#lane(id), now);
  }

  progress(id: number, bytes: number, now: number): void {
    bytesArrived(this.#lane(id), bytes, now);
    this.#received += bytes;
  }

  hold(id: number, isHeld: boolean, now: number): void {
    held(this.#lane(id), now, isHeld);
  }

  landed(id: number, chunk: number): void {
    const lane = this.#lane(id);
    lane.next = chunk + 1;
    lane.partial = Math.max(0, lane.partial - this.#ledger.layout.bytes(chunk));
    lane.unjudged++;
    lane.source.strikes = 0;
    lane.source.trial = false;
  }

  verified(id: number, chunk: number): void {
    const lane = this.#lane(id);
    const rival = this.#ledger.rivalOf(lane, chunk);
    if (!this.#ledger.finish(chunk)) this.#waste.lose(lane, this.#ledger.layout.bytes(chunk));
    // What the rival brought is counted as lost when its lane ends, or when its copy is judged.
    else if (rival?.next === chunk && !rival.ended && !rival.cancelled) {
      this.#drop(rival);
    }
    this.#judged(lane);
  }

  bad(id: number, chunk: number, now: number): void {
    const lane = this.#lane(id);
    const { source } = lane;
    source.badChunks++;
    if (!this.#ledger.isDone(chunk)) this.#ledger.release(chunk, lane);
    this.#waste.lose(lane, this.#ledger.layout.bytes(chunk));
    this.#judged(lane);
    this.ban(source.id, 'bad-bytes', now);
  }

  reopen(chunks: readonly number[], except: number): void {
    const source = this.#source(except);
    this.#ledger.holdersChanged();
    for (const chunk of chunks) {
      if (this.#ledger.isDone(chunk)) this.#waste.bytes += this.#ledger.layout.bytes(chunk);
      this.#ledger.reopen(chunk);
      for (const other of this.#ordered) other.not.delete(chunk);
      source.not.add(chunk);
    }
  }

  laneEnded(id: number, fault: Fault | undefined, now: number): void {
    const lane = this.#lane(id);
    const { source } = lane;
    advance(source, now);
    lane.ended = true;
    source.slots[lane.slot] = undefined;
    const rival = this.#ledger.rivalOf(lane, lane.next);
    const lost = this.#ledger.isDone(lane.next);
    // What a source loses by its own fault is not the price of a hedge; what a hedge loses is.
    if (rival !== undefined && !lost && !lane.hedge) this.#waste.part(lane, rival);
    this.#waste.lose(lane, lane.partial);
    if (rival !== undefined && !lost) this.#waste.part(lane, rival);
    for (let chunk = lane.next; chunk < lane.to; chunk++) this.#ledger.release(chunk, lane);
    if (lane.unjudged === 0) this.#forget(lane);
    if (fault !== undefined) {
      source.open.delete(lane.slot);
      this.#standing.fault(source, fault, now);
    }
  }

  // What to do

  decide(now: number): Action[] {
    for (const source of this.#ordered) this.#look(source, now);
    if (!this.finished) {
      const all = this.#ordered.reduce((sum, source) => sum + (source.meter.rate ?? 0), 0);
      const left = all === 0 ? Infinity : this.#ledger.missingBytes / all;
      this.#assign(now);
      // A trial may have changed how many connections a source should have.
      if (this.#trials.step(now, this.#ordered, this.#received, left)) this.#assign(now);
    }
    this.#plan(now);
    const actions = this.#actions.filter((action) => !this.#late(action));
    this.#actions = [];
    return actions;
  }

  /** Asks something of a lane that has come to its own end since. */
  #late(action: Action): boolean {
    return (
      (action.type === 'cancel' || action.type === 'shorten') && this.#lanes.get(action.lane)?.ended !== false
    );
  }

  /** Time passed for a source: it may be asked again, or it has been silent for too long. */
  #look(source: Source, now: number): void {
    advance(source, now);
    this.#standing.look(source, now);
    for (const lane of source.slots) {
      if (lane === undefined || lane.cancelled || !isSilent(lane, now)) continue;
      this.#cancel(lane, 'silent');
      source.open.delete(lane.slot);
      this.#standing.fault(source, { kind: 'silent' }, now);
    }
  }

  #assign(now: number): void {
    this.#spans = undefined;
    let idle = false;
    // The fastest choose first; who is not measured yet comes before the slow, who has failed last.
    const byRate = [...this.#ordered].sort(
      (a, b) => Number(a.trial) - Number(b.trial) || (b.meter.rate ?? Infinity) - (a.meter.rate ?? Infinity),
    );
    for (const source of byRate) {
      if (source.state !== 'running') continue;
      const target = source.trial ? 1 : source.target;
      for (let busy = busyLanes(source).length; busy < target; busy++) {
        if (this.#fetchNext(source, now) || this.#helpOut(source, now)) continue;
        if (busy === 0 && this.#ledger.limit === this.#ledger.layout.count) {
          // Who holds a part, and has given it, tells nothing of the end.
          idle ||= source.has === undefined || this.#ledger.hasUseFor(source);
        }
        break;
      }
      this.#closeSpare(source);
    }
    this.tailFrom = idle ? (this.tailFrom ?? now) : undefined;
  }

  #fetchNext(source: Source, now: number): boolean {
    if (!this.#ledger.open) return false;
    const most = this.#wholeFile ? Infinity : spanChunks(source, this.#ordered, this.#ledger);
    const run = this.#ledger.run(source, most, this.#ordered);
    if (run === undefined) return false;
    if (!this.#wholeFile && !worthTaking(run.from, source, this.#ordered, this.#ledger, now)) {
      return this.#fetchLast(source, now);
    }
    this.#spans = undefined;
    source.lastSpan = run.to - run.from;
    this.#fetch(source, run, false, now);
    return true;
  }

  /** The last chunk is mostly shorter: for a source that is too slow for a whole one, it may be just right. */
  #fetchLast(source: Source, now: number): boolean {
    const last = this.#ledger.layout.count - 1;
    if (!this.#ledger.isMissing(last) || last >= this.#ledger.limit || !offers(source, last)) return false;
    if (!worthTaking(last, source, this.#ordered, this.#ledger, now)) return false;
    this.#fetch(source, { from: last, to: last + 1 }, false, now);
    return true;
  }

  #helpOut(source: Source, now: number): boolean {
    this.#spans ??= spansUnderWay(this.#ordered, this.#ledger, now);
    const budget = { waste: this.#waste.left, hedge: Math.min(this.#waste.left, this.#mostHedge) };
    const work = tailWork(source, this.#ordered, this.#spans, this.#ledger, now, budget);
    if (work === undefined) return false;
    this.#spans = undefined;
    if (work.type === 'drop') {
      this.#waste.reserve(work.victim.partial, [work.victim]);
      this.#drop(work.victim);
      return false;
    }
    if (work.type === 'hedge') {
      const hedge = this.#fetch(source, { from: work.chunk, to: work.chunk + 1 }, true, now);
      this.#waste.reserve(this.#ledger.layout.bytes(work.chunk), [hedge, work.victim]);
      return true;
    }
    const { victim, from, to } = work;
    for (let chunk = from; chunk < to; chunk++) this.#ledger.release(chunk, victim);
    victim.to = from;
    this.#act({ type: 'shorten', lane: victim.id, to: from });
    this.#fetch(source, { from, to }, false, now);
    return true;
  }

  #fetch(source: Source, span: { from: number; to: number }, hedge: boolean, now: number): Lane {
    advance(source, now);
    const lane = newLane(++this.#lastLane, source, span, hedge, now);
    const { id, slot, from, to } = lane;
    source.slots[slot] = lane;
    this.#lanes.set(id, lane);
    for (let chunk = from; chunk < to; chunk++) this.#ledger.owe(chunk, lane);
    this.#act({ type: 'fetch', lane: id, source: source.id, slot, from, to, hedge });
    return lane;
  }

  /** Connections that a trial opened in vain. */
  #closeSpare(source: Source): void {
    for (const slot of source.open) {
      if (slot < source.target || source.slots[slot] !== undefined) continue;
      source.open.delete(slot);
      this.#act({ type: 'close', source: source.id, slot });
    }
  }

  #plan(now: number): void {
    let wake = this.#trials.wakeAt;
    let flowing = false;
    for (const source of this.#ordered) {
      if (source.state === 'waiting' && !source.withdrawn) wake = Math.min(wake, source.retryAt);
      for (const lane of source.slots) {
        if (lane === undefined || lane.cancelled) continue;
        flowing = true;
        if (lane.heldAt === undefined) wake = Math.min(wake, now + patience(lane) - quietFor(lane, now));
      }
    }
    if (flowing) wake = Math.min(wake, now + (this.tailFrom === undefined ? TICK : TAIL_TICK));
    this.#wakeAt = this.finished ? Infinity : Math.max(wake, now + 1);
  }

  // Consequences

  /** The lane's chunks stay its own until it has ended: until then it may still be writing. */
  #cancel(lane: Lane, reason: 'silent' | 'lost' | 'source-gone'): void {
    lane.cancelled = true;
    this.#act({ type: 'cancel', lane: lane.id, reason });
  }

  #drop(lane: Lane): void {
    // One that has not even begun to answer is not relied upon until it does.
    if (lane.headAt === undefined) lane.source.trial = true;
    this.#cancel(lane, 'lost');
  }

  #judged(lane: Lane): void {
    lane.unjudged--;
    if (lane.ended && lane.unjudged === 0) this.#forget(lane);
  }

  #forget(lane: Lane): void {
    this.#lanes.delete(lane.id);
    this.#waste.settle(lane);
  }

  #act(action: Action): void {
    if (action.type === 'source') this.#ledger.holdersChanged();
    this.#actions.push(action);
  }

  #source(id: number): Source {
    const source = this.#sources.get(id);
    if (source === undefined) throw new Error(`no source ${id}`);
    return source;
  }

  #lane(id: number): Lane {
    const lane = this.#lanes.get(id);
    if (lane === undefined) throw new Error(`no lane ${id}`);
    return lane;
  }

  views(now: number): SourceView[] {
    return this.#ordered.map((source) => viewOf(source, now));
  }
}
