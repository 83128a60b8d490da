import { Bitmap } from '../../../../src/core/bitmap.ts';
import { ChunkLayout, MIB } from '../../../../src/core/chunks.ts';
import { Scheduler } from '../../../../src/core/scheduler/scheduler.ts';
import type { Action, SchedulerApi, SchedulerOptions } from '../../../../src/core/scheduler/types.ts';

export type Fetch = Extract<Action, { type: 'fetch' }>;

/** A scheduler and its clock, for scenes of a few events. Chunks are 1 MiB. */
export class Play {
  readonly scheduler: SchedulerApi;
  readonly layout: ChunkLayout;
  now = 0;
  /** Everything that `decide` said so far. */
  readonly said: Action[] = [];

  constructor(chunks: number, sources: readonly number[], options: Partial<SchedulerOptions> = {}) {
    this.layout = new ChunkLayout(chunks * MIB, MIB);
    this.scheduler = new Scheduler({ layout: this.layout, random: () => 0.5, ...options });
    for (const source of sources) this.scheduler.addSource(source, 0);
  }

  /** Time passes, then the scheduler says what to do. */
  decide(after = 0): Action[] {
    this.now += after;
    const actions = this.scheduler.decide(this.now);
    this.said.push(...actions);
    return actions;
  }

  /** The requests among what was said last. */
  fetches(after = 0): Fetch[] {
    return this.decide(after).filter((action) => action.type === 'fetch');
  }

  /** A lane brings one chunk at this many bytes a millisecond, and it is right unless told otherwise. */
  bring(
    lane: number,
    chunk: number,
    rate = MIB / 100,
    verdict: 'verified' | 'bad' | 'none' = 'verified',
  ): void {
    this.scheduler.headArrived(lane, this.now);
    const bytes = this.layout.bytes(chunk);
    const step = Math.ceil(rate * 10);
    for (let left = bytes; left > 0; left -= step) {
      this.now += 10;
      this.scheduler.progress(lane, Math.min(left, step), this.now);
    }
    this.scheduler.landed(lane, chunk, this.now);
    if (verdict !== 'none') this.scheduler[verdict](lane, chunk, this.now);
  }

  /** Brings all of a request and ends it. */
  bringAll(fetch: Fetch, rate?: number): void {
    for (let chunk = fetch.from; chunk < fetch.to; chunk++) this.bring(fetch.lane, chunk, rate);
    this.scheduler.laneEnded(fetch.lane, undefined, this.now);
  }
}

/** The chunks of a bitmap of `length`. */
export function holding(length: number, chunks: readonly number[]): Bitmap {
  const bitmap = new Bitmap(length);
  for (const chunk of chunks) bitmap.add(chunk);
  return bitmap;
}
