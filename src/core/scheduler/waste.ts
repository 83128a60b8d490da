import type { ChunkLayout } from '../chunks.ts';
import type { Lane, Pair } from './state.ts';

/** Part of the file that may be fetched in vain for the sake of its end... */
const WASTE_PART = 0.01;
/** ... and chunks that may in a small file, where 1 % is less than a chunk. */
const WASTE_CHUNKS = 2;

/** Bytes that come in vain, and how many of them may for the sake of an earlier end. */
export class Waste {
  /** Bytes that came and are not in the file. */
  bytes = 0;
  /** Bytes that may still be spent; what is under way holds back the most that it can cost. */
  left: number;

  constructor(layout: ChunkLayout, budget: number | undefined) {
    this.left = budget ?? Math.max(layout.size * WASTE_PART, layout.chunkSize * WASTE_CHUNKS);
  }

  /** These lanes, a hedge and its rival or a lane that is dropped, will cost `bytes` at the most. */
  reserve(bytes: number, lanes: readonly Lane[]): void {
    const pair: Pair = { reserved: bytes, lanes: lanes.length };
    this.left -= bytes;
    for (const lane of lanes) {
      this.settle(lane);
      lane.pair = pair;
    }
  }

  /** Bytes of the lane came in vain. */
  lose(lane: Lane, bytes: number): void {
    this.bytes += bytes;
    if (lane.pair !== undefined) this.left -= bytes;
  }

  /** The lane is over: when all of its pair are, what was held back and not spent is free again. */
  settle(lane: Lane): void {
    const { pair } = lane;
    lane.pair = undefined;
    if (pair !== undefined && --pair.lanes === 0) this.left += pair.reserved;
  }

  /** One of a pair is gone and neither has won: the other one can cost nothing any more. */
  part(one: Lane, other: Lane): void {
    const { pair } = one;
    if (pair === undefined || other.pair !== pair) return;
    one.pair = undefined;
    other.pair = undefined;
    this.left += pair.reserved;
  }
}
