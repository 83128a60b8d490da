import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm } from 'node:fs/promises';

import { cleanEnvironment, killTree } from './processes.ts';
import type { BenchContext } from './scene.ts';

/** Longest a run may take, seconds, unless told otherwise; a program that hangs is counted as failed. */
const DEADLINE = 120;

export interface Measurement {
  /** From just before the program starts until it has ended. */
  readonly seconds: number;
  readonly cpu: number;
  /** The kernel's own high-water mark of resident memory (VmHWM at the end), bytes. */
  readonly memory: number;
  /** Why the run does not count as finished. */
  readonly failed?: string;
}

export interface MeasureSettings {
  /** Seconds after which the program is killed. */
  readonly deadline?: number;
  /** Something done to the world while the program runs. */
  readonly meanwhile?: { readonly after: number; readonly act: () => Promise<void> };
  /** Name of the file that GNU time writes, where several programs run at once. Default: "time". */
  readonly accounts?: string;
  /** Added to the clean environment. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs a program under GNU time. */
export async function measure(
  context: BenchContext,
  argv: readonly string[],
  settings: MeasureSettings = {},
): Promise<Measurement> {
  const accounts = context.workspace.at(settings.accounts ?? 'time');
  await rm(accounts, { force: true });
  const deadline = settings.deadline ?? DEADLINE;
  const started = performance.now();
  const child = spawn('/usr/bin/time', ['-q', '-f', '%U %S %M', '-o', accounts, '--', ...argv], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...cleanEnvironment(context.workspace.at('home')), ...settings.env },
  });
  const ended = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  let complaint = '';
  child.stderr
    .setEncoding('utf8')
    .on('data', (part: string) => (complaint = (complaint + part).slice(-2000)));
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    void killTree(child);
  }, deadline * 1000);
  const stop = (): void => void killTree(child);
  context.signal.addEventListener('abort', stop);
  const meanwhile = later(settings.meanwhile);
  try {
    const [status] = await ended;
    const seconds = (performance.now() - started) / 1000;
    context.signal.throwIfAborted();
    await meanwhile.settle();
    if (late) return { seconds, cpu: Number.NaN, memory: Number.NaN, failed: `not done after ${deadline} s` };
    const [user = 0, system = 0, kibibytes = 0] = (await readFile(accounts, 'utf8'))
      .trim()
      .split(' ')
      .map(Number);
    const measured = { seconds, cpu: user + system, memory: kibibytes * 1024 };
    if (status === 0) return measured;
    const why = complaint.trim().split('\n').at(-1) ?? '';
    return { ...measured, failed: `exit status ${status}${why === '' ? '' : `: ${why}`}` };
  } finally {
    clearTimeout(timer);
    context.signal.removeEventListener('abort', stop);
    await meanwhile.settle();
  }
}

/** Does something after a while, unless it is settled before; `settle` waits for what has begun. */
function later(plan: MeasureSettings['meanwhile']): { settle: () => Promise<void> } {
  if (plan === undefined) return { settle: () => Promise.resolve() };
  let acting: Promise<void> = Promise.resolve();
  const timer = setTimeout(() => {
    acting = plan.act();
    // Told by "settle"; until then it is nobody's.
    acting.catch(() => undefined);
  }, plan.after * 1000);
  return {
    settle: () => {
      clearTimeout(timer);
      return acting;
    },
  };
}
