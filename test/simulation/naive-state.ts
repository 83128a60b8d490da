import type { Bitmap } from '../../src/core/bitmap.ts';

/** Ways in which the naive scheduler can be told to break its promises. */
export type Defect =
  | 'fetches-owed-chunks'
  | 'uses-busy-slots'
  | 'reuses-lanes'
  | 'ignores-holdings'
  | 'ignores-limit'
  | 'ignores-bans'
  | 'ignores-retry-after'
  | 'never-retries'
  | 'loses-cancelled-chunks'
  | 'cuts-begun-chunks'
  | 'hedges-over-budget'
  | 'hedges-nothing-owed'
  | 'forgets-waste'
  | 'is-impatient'
  | 'ignores-holds'
  | 'spins'
  | 'never-steals'
  | 'uses-one-source'
  | 'keeps-losers'
  | 'asks-barred-sources'
  | 'forgets-a-chunk';

export interface NaiveLane {
  readonly id: number;
  readonly source: NaiveSource;
  readonly hedge: boolean;
  /** Chunk being fetched, and bytes of it that are here. */
  at: number;
  bytes: number;
  to: number;
  readonly from: number;
  heard: number;
  held: boolean;
  heldAt: number;
  cancelled: 'silent' | 'lost' | 'source-gone' | undefined;
}

export interface NaiveSource {
  readonly id: number;
  has: Bitmap | undefined;
  state: 'running' | 'waiting' | 'banned';
  retryAt: number;
  withdrawn: boolean;
  failures: number;
  retryMs: number;
  badChunks: number;
  lane: NaiveLane | undefined;
  rate: number;
  since: number;
  bytes: number;
  totalBytes: number;
  busySince: number;
  busyMs: number;
}
