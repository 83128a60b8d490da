import type { BenchOptions } from './options.ts';
import type { Figures, Sample, Unit } from './results.ts';
import type { RowId } from './rows/ids.ts';
import type { Tool } from './tools.ts';
import type { Workspace } from './workspace.ts';

/** What a scene gets to work with. */
export interface BenchContext extends BenchOptions {
  readonly workspace: Workspace;
  readonly signal: AbortSignal;
  /** One line for the person who watches. */
  readonly say: (line: string) => void;
}

/** A program and how it is called for one kind of work. */
export interface Contestant {
  readonly id: string;
  readonly label: string;
  /** Its command line for readers; see `ContestantResult.command`. */
  readonly command: string;
  readonly ours: boolean;
  /** The rows that need it. */
  readonly rows: readonly RowId[];
  /** Most rounds it takes part in; for runs that take long or are told only for comparison. Default: all. */
  readonly mostRounds?: number;
  /** One run: makes everything ready, measures, checks what came out, clears away. */
  run(round: number): Promise<Sample>;
}

/** Gives the figures of a contestant: of one round, or the medians. */
export type FiguresOf = (contestant: string) => Figures;

export interface Bar {
  readonly row: RowId;
  readonly work: string;
  readonly text: string;
  readonly demand: 'least' | 'most';
  readonly bound: number;
  readonly unit: Unit;
  /** Told for comparison; not a bar of the table. */
  readonly aside?: boolean;
  readonly value: (of: FiguresOf) => number;
}

/** Servers that run and contestants that are ready; closed after the last round. */
export interface OpenScene extends AsyncDisposable {
  readonly facts: Readonly<Record<string, number>>;
  readonly notes: readonly string[];
  /** In the order of the first round. */
  readonly contestants: readonly Contestant[];
  readonly bars: readonly Bar[];
}

/** Rows that share servers, file and runs. */
export interface Scene {
  readonly id: string;
  readonly title: string;
  readonly rows: readonly RowId[];
  readonly tools: readonly Tool[];
  /** Makes network namespaces. */
  readonly needsRoot: boolean;
  open(context: BenchContext): Promise<OpenScene>;
}
