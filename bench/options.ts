import { parseArgs } from 'node:util';

import { EXTRA_ROW_IDS, ROW_IDS, type RowId } from './rows/ids.ts';

/** Rounds of a full run; the median of five stands against two runs that were disturbed. */
const ROUNDS = 5;
const QUICK_ROUNDS = 1;
const MOST_ROUNDS = 100;
const NAMES: readonly RowId[] = [...ROW_IDS, ...EXTRA_ROW_IDS];

export interface BenchOptions {
  /** The rows to run; all of them unless some were named. */
  readonly rows: ReadonlySet<RowId>;
  /** Runs of each contestant; rows that take long may do fewer and say so. */
  readonly rounds: number;
  /** Smaller files and fewer rounds: shows that everything works, not how fast it is. */
  readonly quick: boolean;
}

export const USAGE = `npm run bench -- [--only ROW[,ROW...]] [--rounds N] [--quick]
  --only ROW,...  only these rows: ${ROW_IDS.join(', ')};
                  or what settled how aria2 is run: ${EXTRA_ROW_IDS.join(', ')}
  --rounds N      runs of each program, 1 to ${MOST_ROUNDS} (default ${ROUNDS}, with --quick ${QUICK_ROUNDS})
  --quick         smaller files, fewer rounds; writes no committed results`;

/** Thrown for arguments that cannot be used; the message is for the person who wrote them. */
export class UsageError extends Error {}

/** @throws UsageError */
export function readOptions(args: readonly string[]): BenchOptions | 'help' {
  const { values } = parse(args);
  if (values.help) return 'help';
  return {
    rows: values.only === undefined ? new Set(ROW_IDS) : readRows(values.only),
    rounds: values.rounds === undefined ? (values.quick ? QUICK_ROUNDS : ROUNDS) : readRounds(values.rounds),
    quick: values.quick,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        only: { type: 'string' },
        rounds: { type: 'string' },
        quick: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
  } catch (cause) {
    throw new UsageError((cause as Error).message, { cause });
  }
}

function readRows(text: string): Set<RowId> {
  const rows = new Set<RowId>();
  for (const name of text.split(',')) {
    const id = NAMES.find((each) => each === name.trim());
    if (id === undefined) throw new UsageError(`--only: no row "${name}"; rows are ${NAMES.join(', ')}`);
    rows.add(id);
  }
  return rows;
}

function readRounds(text: string): number {
  const rounds = Number(text);
  if (!/^\d+$/.test(text) || rounds < 1 || rounds > MOST_ROUNDS)
    throw new UsageError(`--rounds: a whole number from 1 to ${MOST_ROUNDS}, not "${text}"`);
  return rounds;
}
