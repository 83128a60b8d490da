import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { ROOT } from '../commands.ts';
import type { Figures, Sample } from '../results.ts';
import type { BenchContext, Contestant, OpenScene, Scene } from '../scene.ts';

const CHECKS = { new: 20_000, repeated: 1_000_000 } as const;
const QUICK_CHECKS = { new: 5_000, repeated: 200_000 } as const;
type Kind = keyof typeof CHECKS;
/** Microseconds of CPU for each check that are not to be exceeded. */
const BOUNDS: Readonly<Record<Kind, number>> = { new: 150, repeated: 20 };
const LABELS: Readonly<Record<Kind, string>> = {
  new: 'a grant that it has not seen before',
  repeated: 'a grant that it has seen',
};

export const grantChecks: Scene = {
  id: 'grant-checks',
  title: 'Grants checked by a file server',
  rows: ['grant-checks'],
  tools: [],
  needsRoot: false,
  open,
};

async function open(context: BenchContext): Promise<OpenScene> {
  const checks = context.quick ? QUICK_CHECKS : CHECKS;
  const contestant = (kind: Kind): Contestant => ({
    id: kind,
    label: `headwater file-server, ${LABELS[kind]}`,
    command: 'headwater file-server',
    ours: true,
    rows: ['grant-checks'],
    run: (round) => measure(kind, checks[kind], round, context.signal),
  });
  return {
    facts: { ...checks },
    notes: ['In a process of its own that does nothing else; CPU of all its threads, for each check.'],
    contestants: [contestant('new'), contestant('repeated')],
    bars: (['new', 'repeated'] as const).map((kind) => ({
      row: 'grant-checks',
      work: `checking ${LABELS[kind]}`,
      text: 'of CPU',
      demand: 'most',
      bound: BOUNDS[kind],
      unit: 'µs',
      value: (of) => microseconds(of(kind)),
    })),
    [Symbol.asyncDispose]: async () => undefined,
  };
}

async function measure(kind: Kind, count: number, round: number, signal: AbortSignal): Promise<Sample> {
  const program = join(ROOT, 'bench/file-server/check-program.ts');
  const { stdout } = await promisify(execFile)(process.execPath, [program, kind, String(count)], { signal });
  const { seconds, cpu } = JSON.parse(stdout) as { seconds: number; cpu: number };
  return { round, seconds, cpu, memory: Number.NaN, bytes: Number.NaN, requests: count };
}

function microseconds({ cpu, requests = Number.NaN }: Figures): number {
  return (cpu / requests) * 1e6;
}
