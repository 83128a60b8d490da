import { MOST_PAUSE } from './silence.ts';
import { busyLanes, type Lane, type Source } from './state.ts';
import type { SourceView } from './types.ts';

/** What lanes and sources show of themselves: rates, gaps, waits. */

/** How fast the memory of a long gap or wait fades, each time something comes. */
const FADE = 0.98;

/** Moves the meters of a source and its lanes to `now`. */
export function advance(source: Source, now: number): void {
  let busy = false;
  for (const lane of source.slots) {
    if (lane === undefined) continue;
    lane.meter.advance(now, lane.headAt !== undefined);
    busy = true;
  }
  source.meter.advance(now, busy);
}

export function headArrived(lane: Lane, now: number): void {
  const { source } = lane;
  if (lane.headAt !== undefined) return;
  advance(source, now);
  const wait = now - lane.startedAt;
  source.leastWait = Math.min(source.leastWait ?? wait, wait);
  source.mostWait = Math.max(source.mostWait * FADE, wait);
  source.open.add(lane.slot);
  lane.headAt = now;
  active(lane, now);
}

export function bytesArrived(lane: Lane, bytes: number, now: number): void {
  const { source } = lane;
  advance(source, now);
  source.gap = Math.max(source.gap * FADE, lane.headAt === lane.activeAt ? 0 : now - lane.activeAt);
  active(lane, now);
  lane.partial += bytes;
  lane.meter.add(bytes);
  source.meter.add(bytes);
  source.total += bytes;
}

/** We stop reading from the lane, or go on: its silence meanwhile is ours. */
export function held(lane: Lane, now: number, isHeld: boolean): void {
  if (isHeld) {
    lane.heldAt ??= now;
  } else if (lane.heldAt !== undefined) {
    const pause = now - Math.max(lane.heldAt, lane.activeAt);
    lane.heldTime += pause;
    lane.pauses += Math.min(pause, MOST_PAUSE);
    lane.heldAt = undefined;
  }
}

function active(lane: Lane, now: number): void {
  lane.activeAt = now;
  lane.heldTime = 0;
  lane.pauses = 0;
}

export function viewOf(source: Source, now: number): SourceView {
  advance(source, now);
  const { id, state, failures, badChunks, meter, total } = source;
  const busy = busyLanes(source).length;
  return {
    source: id,
    state,
    rate: busy === 0 ? 0 : (meter.rate ?? 0),
    busy,
    bytes: total,
    busySeconds: meter.busyTime / 1000,
    failures,
    badChunks,
  };
}
