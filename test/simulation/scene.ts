import { Bitmap } from '../../src/core/bitmap.ts';
import type { SchedulerApi, SchedulerOptions } from '../../src/core/scheduler/types.ts';
import { Agenda } from './agenda.ts';
import { ChunkBook } from './chunk-book.ts';
import { bitmapOf, type Fleet, layoutOf } from './fleet.ts';
import { IdleWatch } from './idle-watch.ts';
import type { Lane } from './lane.ts';
import { Ledger } from './ledger.ts';
import { Measure } from './measure.ts';
import { seededRandom } from './random.ts';
import { Referee } from './referee.ts';
import { SimulatedSource } from './source.ts';

export type MakeScheduler = (options: SchedulerOptions) => SchedulerApi;

/** Everything that a run consists of, for those who play in it. */
export class Scene {
  readonly fleet: Fleet;
  readonly scheduler: SchedulerApi;
  /** By their ids, which are the caller's to choose: neither from 0 nor without gaps. */
  readonly sources = new Map<number, SimulatedSource>();
  readonly lanes = new Map<number, Lane>();
  readonly agenda = new Agenda();
  readonly random: () => number;
  readonly book: ChunkBook;
  readonly ledger: Ledger;
  readonly referee: Referee;
  readonly idle: IdleWatch;
  readonly measure: Measure;
  /** What an earlier run left. */
  readonly resumed: Bitmap;
  /** Bytes that hedging may waste. */
  readonly wasteBudget: number;
  /** Milliseconds from the start. */
  now = 0;
  /** Some lane began or ceased to flow. */
  flowChanged = true;
  /** The client wants to know what to do. */
  asked = true;
  readonly #log: ((line: string) => void) | undefined;

  constructor(fleet: Fleet, make: MakeScheduler, log: ((line: string) => void) | undefined) {
    const layout = layoutOf(fleet);
    this.fleet = fleet;
    this.#log = log;
    this.random = seededRandom(fleet.seed);
    this.resumed = fleet.resumed ? bitmapOf(layout.count, fleet.resumed) : new Bitmap(layout.count);
    fleet.sources.forEach((script, index) => {
      const holding = bitmapOf(layout.count, script.part ?? { seed: 0, share: 1 });
      const source = new SimulatedSource(3 * index + 1, script, holding);
      this.sources.set(source.id, source);
    });
    this.book = new ChunkBook(layout);
    this.ledger = new Ledger(layout);
    this.referee = new Referee(this.book, this.sources, this.lanes, fleet.mostConnections ?? 16);
    this.idle = new IdleWatch(this.book, this.referee, this.sources);
    let wanted = 0;
    for (let chunk = 0; chunk < layout.count; chunk++) {
      if (this.resumed.has(chunk)) this.book.finish(chunk);
      else wanted += layout.bytes(chunk);
    }
    this.measure = new Measure(this.sources, fleet.downlink, wanted);
    this.holdingsChanged();
    this.wasteBudget = fleet.wasteBudget ?? Math.max(layout.size * 0.01, 2 * layout.chunkSize);
    this.scheduler = make({
      layout,
      random: seededRandom(fleet.seed + 1),
      ...(fleet.resumed && { done: this.resumed }),
      ...(fleet.mostConnections !== undefined && { mostConnections: fleet.mostConnections }),
      ...(fleet.fixedConnections !== undefined && { fixedConnections: fleet.fixedConnections }),
      ...(fleet.wasteBudget !== undefined && { wasteBudget: fleet.wasteBudget }),
    });
  }

  source(id: number): SimulatedSource {
    const source = this.sources.get(id);
    if (source === undefined) throw new RangeError(`no source ${id}`);
    return source;
  }

  lane(id: number): Lane {
    const lane = this.lanes.get(id);
    if (lane === undefined) throw new RangeError(`no lane ${id}`);
    return lane;
  }

  holdingsChanged(): void {
    this.measure.holdings(this.book, (chunk) => !this.resumed.has(chunk));
  }

  note(text: () => string): void {
    this.#log?.(`${this.now.toFixed(3)} ${text()}`);
  }
}
