import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';

/** Clock ticks a second in /proc/PID/stat; the kernel tells every program on Linux 100. */
const TICKS = 100;

/** What every program that is run gets: no proxies, no settings of the person's own. */
export function cleanEnvironment(home: string): NodeJS.ProcessEnv {
  const { PATH, TMPDIR } = process.env;
  return { PATH, HOME: home, XDG_CACHE_HOME: home, LC_ALL: 'C', ...(TMPDIR === undefined ? {} : { TMPDIR }) };
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

export interface Output {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a short command to its end.
 *
 * @throws Error with what it printed, when it ends other than with 0 and `allowFailure` is not set.
 */
export async function run(
  argv: readonly string[],
  settings: { readonly allowFailure?: boolean; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<Output> {
  const [program = '', ...rest] = argv;
  const child = spawn(program, rest, { stdio: ['ignore', 'pipe', 'pipe'], env: settings.env ?? process.env });
  const ended = once(child, 'close') as Promise<[number | null]>;
  const [stdout, stderr, [status]] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  if (status !== 0 && settings.allowFailure !== true)
    throw new Error(`"${argv.join(' ')}" ended with ${status}: ${(stderr || stdout).trim()}`);
  return { status, stdout, stderr };
}

async function text(stream: NodeJS.ReadableStream): Promise<string> {
  let all = '';
  for await (const part of stream.setEncoding('utf8')) all += String(part);
  return all;
}

/** Kills a process that leads its own group, and the group with it; waits until it is gone. */
export async function killGroup(child: ChildProcess, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  try {
    process.kill(-child.pid, signal);
  } catch {
    child.kill(signal);
  }
  await gone;
}

/** User and system seconds so far of a process, its threads, and every process below it that still runs. */
export function treeCpuSeconds(root: number): number {
  const parents = new Map<number, number>();
  const ticks = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    const stat = Number.isInteger(pid) ? readStat(pid) : undefined;
    if (stat === undefined) continue;
    parents.set(pid, stat.parent);
    ticks.set(pid, stat.ticks);
  }
  let sum = 0;
  for (const [pid, own] of ticks) {
    let ancestor: number | undefined = pid;
    while (ancestor !== undefined && ancestor !== root) ancestor = parents.get(ancestor);
    if (ancestor === root) sum += own;
  }
  return sum / TICKS;
}

function readStat(pid: number): { readonly parent: number; readonly ticks: number } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in parentheses may hold spaces; the fields count from behind it: state, ppid, …, utime, stime.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { parent: Number(fields[1]), ticks: Number(fields[11]) + Number(fields[12]) };
  } catch {
    return undefined;
  }
}
