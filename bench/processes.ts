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

/**
 * Kills a process and every process below it at once; resolves when it is gone. (Processes are not put into sessions of
 * their own to be killed together: the kernel may share the cores out among sessions, which would be a benchmark of that.)
 */
export async function killTree(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  for (const { pid } of treeOf(child.pid)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It ended by itself.
    }
  }
  await gone;
}

/** User and system seconds so far of a process, its threads, and every process below it that still runs. */
export function treeCpuSeconds(root: number): number {
  return treeOf(root).reduce((sum, each) => sum + each.ticks, 0) / TICKS;
}

interface ProcessFacts {
  readonly pid: number;
  readonly parent: number;
  /** User and system time in clock ticks. */
  readonly ticks: number;
}

/** A process and all below it, as /proc shows them now. */
function treeOf(root: number): ProcessFacts[] {
  const all = new Map<number, ProcessFacts>();
  for (const name of readdirSync('/proc')) {
    const facts = /^\d+$/.test(name) ? readFacts(Number(name)) : undefined;
    if (facts !== undefined) all.set(facts.pid, facts);
  }
  return [...all.values()].filter(({ pid }) => {
    let ancestor: number | undefined = pid;
    while (ancestor !== undefined && ancestor !== root) ancestor = all.get(ancestor)?.parent;
    return ancestor === root;
  });
}

function readFacts(pid: number): ProcessFacts | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in parentheses may hold spaces; the fields count from behind it: state, ppid, …, utime, stime.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { pid, parent: Number(fields[1]), ticks: Number(fields[11]) + Number(fields[12]) };
  } catch {
    return undefined;
  }
}
