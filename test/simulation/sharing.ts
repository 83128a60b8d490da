import type { Lane } from './lane.ts';
import type { SimulatedSource } from './source.ts';

interface Demand {
  readonly lanes: Lane[];
  /** Bytes a second that the source would send over these lanes if the client's line carried all. */
  readonly wanted: number;
}

/**
 * Sets every lane's rate. A source shares its rate equally between its connections, each up to its own limit; a
 * downlink that cannot carry all is shared equally between connections, as TCP roughly does, so that a source
 * with more of them gets more of it.
 */
export function shareRates(sources: Iterable<SimulatedSource>, downlink: number): void {
  const demands: Demand[] = [];
  let total = 0;
  for (const source of sources) {
    const lanes: Lane[] = [];
    for (const lane of source.lanes) {
      lane.rate = 0;
      if (lane.stage === 'body' && !lane.held) lanes.push(lane);
    }
    if (lanes.length === 0 || source.silent) continue;
    const wanted = Math.min(source.rate, lanes.length * source.script.perConnection);
    demands.push({ lanes, wanted });
    total += wanted;
  }
  const level = total <= downlink ? Infinity : fairLevel(demands, downlink);
  for (const { lanes, wanted } of demands) {
    const each = Math.min(wanted / lanes.length, level);
    for (const lane of lanes) lane.rate = each / 1000;
  }
}

/** Bytes a second for each connection that could use more, such that all together fill the downlink. */
function fairLevel(demands: Demand[], downlink: number): number {
  demands.sort((a, b) => a.wanted / a.lanes.length - b.wanted / b.lanes.length);
  let left = downlink;
  let lanesLeft = demands.reduce((sum, { lanes }) => sum + lanes.length, 0);
  for (const { lanes, wanted } of demands) {
    const level = left / lanesLeft;
    if (wanted / lanes.length > level) return level;
    left -= wanted;
    lanesLeft -= lanes.length;
  }
  return Infinity;
}
