import type { ChunkLayout } from '../../src/core/chunks.ts';
import type { Action } from '../../src/core/scheduler/types.ts';

export type FetchAction = Extract<Action, { type: 'fetch' }>;
export type CancelAction = Extract<Action, { type: 'cancel' }>;

/** One request on its way. */
export class Lane {
  readonly id: number;
  readonly source: number;
  readonly slot: number;
  readonly from: number;
  readonly hedge: boolean;
  /** Where the request ends on the wire; what is past `to` is not read. */
  readonly requestedTo: number;
  readonly askedAt: number;
  to: number;
  stage: 'connecting' | 'answering' | 'body' | 'cancelled' | 'ended' = 'connecting';
  /** Waits for a source that answers nothing. */
  stuck = false;
  held = false;
  /** The chunk whose bytes come next. */
  chunk: number;
  /** Offset in the file up to which bytes are on the way or here; a fraction, as the flow is fluid. */
  wire: number;
  /** Offset up to which the scheduler was told. */
  read: number;
  /** Bytes a millisecond now. */
  rate = 0;
  /** When bytes, or a head, came last; the request itself before. Later by as long as nothing was read. */
  heardAt: number;
  heldAt = 0;
  /** Why it was cancelled. */
  cancelled: CancelAction['reason'] | undefined;

  constructor(action: FetchAction, layout: ChunkLayout, now: number) {
    this.id = action.lane;
    this.source = action.source;
    this.slot = action.slot;
    this.from = action.from;
    this.to = action.to;
    this.requestedTo = action.to;
    this.hedge = action.hedge;
    this.chunk = action.from;
    this.wire = layout.start(action.from);
    this.read = this.wire;
    this.askedAt = now;
    this.heardAt = now;
  }

  /** Neither cancelled nor over. */
  get alive(): boolean {
    return this.stage !== 'cancelled' && this.stage !== 'ended';
  }

  /** Whether the wire has brought everything up to `offset`; it is counted in fractions, so to a nanosecond's flow. */
  hasReached(offset: number): boolean {
    return this.wire >= offset - 1e-3 - this.rate * 1e-6;
  }

  /** Whether this lane still has to bring `chunk`. */
  owes(chunk: number): boolean {
    return this.stage !== 'ended' && chunk >= this.chunk && chunk < this.to;
  }
}
