import { cpuPerGiB, type Figures } from './results.ts';
import type { FiguresOf } from './scene.ts';

/** How a bar's value comes from figures. */
type Value = (of: FiguresOf) => number;

/** How many times as fast as `rival`: its bytes a second over the rival's. */
export function timesAsFast(ours: string, rival: string): Value {
  return (of) => rate(of(ours)) / rate(of(rival));
}

/** How many times `rival`'s time it takes. */
export function timesTheTime(ours: string, rival: string): Value {
  return (of) => of(ours).seconds / of(rival).seconds;
}

/** How many times `rival`'s CPU time for each GiB it takes. */
export function timesTheCpu(ours: string, rival: string): Value {
  return (of) => cpuPerGiB(of(ours)) / cpuPerGiB(of(rival));
}

function rate(figures: Figures): number {
  return figures.bytes / figures.seconds;
}
