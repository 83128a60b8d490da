import type { RowId } from './rows/ids.ts';
import type { Spread } from './statistics.ts';

export const GIB = 1024 ** 3;
export const MIB = 1024 ** 2;

/** What one run cost. */
export interface Figures {
  /** Wall time from start to exit, start-up included. */
  readonly seconds: number;
  /** User and system time, seconds, of the program that the row is about, its children included. */
  readonly cpu: number;
  /** Most resident memory of that program, bytes; NaN where it was not measured. */
  readonly memory: number;
  /** Bytes of the file that were moved; NaN where requests are what counts. */
  readonly bytes: number;
  /** Requests that were answered. */
  readonly requests?: number;
  /** Milliseconds that 99 of 100 requests took at the most. */
  readonly p99?: number;
}

export interface Sample extends Figures {
  /** From 1. */
  readonly round: number;
  /** Why the run counts as never finished. */
  readonly failed?: string;
}

/** CPU seconds for each GiB moved. */
export function cpuPerGiB(figures: Figures): number {
  return figures.cpu / (figures.bytes / GIB);
}

export interface ContestantResult {
  readonly id: string;
  readonly label: string;
  /** What was run, with words such as URL1 and FILE for what differs from machine to machine. */
  readonly command: string;
  readonly ours: boolean;
  readonly samples: readonly Sample[];
  /** Medians of the runs that finished; memory is the highest of all runs. */
  readonly median: Figures;
  readonly seconds: Spread;
  readonly failures: number;
}

/** Times a rival's figure, GiB a second, megabytes, requests a second, milliseconds, microseconds. */
export type Unit = 'x' | 'GiB/s' | 'MB' | '/s' | 'ms' | 'µs';

/** A bar, and what was measured against it. */
export interface BarResult {
  readonly row: RowId;
  readonly work: string;
  /** The bar in words. */
  readonly text: string;
  readonly demand: 'least' | 'most';
  readonly bound: number;
  readonly unit: Unit;
  /** From the medians; NaN where something it needs never finished. */
  readonly value: number;
  /** Of the rounds, each by itself. */
  readonly spread: Spread;
  readonly reached: boolean;
  /** Told for comparison; not a bar of the table. */
  readonly aside: boolean;
}

export interface SceneResult {
  readonly id: string;
  readonly title: string;
  /** Figures measured before the rounds, such as the hosts' own goodput. */
  readonly facts: Readonly<Record<string, number>>;
  readonly notes: readonly string[];
  readonly contestants: readonly ContestantResult[];
  readonly bars: readonly BarResult[];
}

export interface Machine {
  readonly cores: number;
  readonly processor: string;
  /** Bytes. */
  readonly memory: number;
  readonly kernel: string;
  readonly system: string;
  readonly congestionControl: string;
  /** Programs that wanted a core in the minute before the run, on average. */
  readonly load: number;
  readonly node: string;
  readonly programs: Readonly<Record<string, string>>;
}

export interface BenchResult {
  readonly version: 1;
  readonly date: string;
  /** The checkout's commit, with a "+" where files differ from it. */
  readonly commit: string;
  readonly quick: boolean;
  readonly rounds: number;
  /** How long the whole run took. */
  readonly seconds: number;
  readonly machine: Machine;
  readonly scenes: readonly SceneResult[];
  readonly leftOut: readonly { readonly row: RowId; readonly why: string }[];
}
