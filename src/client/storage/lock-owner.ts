import { randomBytes } from 'node:crypto';
import { readFile, readlink } from 'node:fs/promises';
import { hostname } from 'node:os';

import { bootId } from './boot.ts';
import { errorCode } from './disk-error.ts';

/** Who holds a lock. A process number alone says little: numbers are used again, and each container has its own. */
export interface LockOwner {
  readonly pid: number;
  readonly host: string;
  /** Never the same for two locks. */
  readonly id: string;
  /** The run of the kernel, and within it the space of process numbers; undefined where the system tells neither. */
  readonly boot?: string;
  readonly space?: string;
  /** When the process began, in ticks of the kernel. */
  readonly begun?: string;
}

/** This process, as the owner of a new lock. */
export async function thisProcess(): Promise<LockOwner> {
  const [space, self] = await Promise.all([processSpace(), processState(process.pid)]);
  const boot = bootId();
  return {
    pid: process.pid,
    host: hostname(),
    id: randomBytes(6).toString('hex'),
    ...(boot === undefined ? {} : { boot }),
    ...(space === undefined ? {} : { space }),
    ...(self === undefined ? {} : { begun: self.begun }),
  };
}

/** Reads what a lock file says; undefined when that is not whole. */
export function parseOwner(text: string): LockOwner | undefined {
  try {
    const value = JSON.parse(text) as Partial<LockOwner> | null;
    const whole =
      typeof value?.pid === 'number' && typeof value.host === 'string' && /^\w+$/.test(value.id ?? '');
    return whole ? (value as LockOwner) : undefined;
  } catch {
    return undefined;
  }
}

/** Whether the owner still runs; `unknown` when it is out of sight: on another machine or in another container. */
export async function isAlive(owner: LockOwner, seenFrom: LockOwner): Promise<boolean | 'unknown'> {
  if (owner.host !== seenFrom.host || owner.boot !== seenFrom.boot || owner.space !== seenFrom.space)
    return 'unknown';
  const state = await processState(owner.pid);
  if (state !== undefined) return !state.ended && (owner.begun === undefined || owner.begun === state.begun);
  // No /proc here, or it does not show other people's processes.
  try {
    process.kill(owner.pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) !== 'ESRCH';
  }
}

async function processState(pid: number): Promise<{ begun: string; ended: boolean } | undefined> {
  try {
    const text = await readFile(`/proc/${pid}/stat`, 'latin1');
    // The second field is the program's name in parentheses and may hold anything; the third is the state, the
    // twenty-second the time of the start (proc_pid_stat(5)).
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    const [state] = fields;
    const begun = fields[19];
    // A killed process whose parent has not asked for its status yet is still listed.
    return begun === undefined ? undefined : { begun, ended: state === 'Z' || state === 'X' };
  } catch {
    return undefined;
  }
}

async function processSpace(): Promise<string | undefined> {
  try {
    return await readlink('/proc/self/ns/pid');
  } catch {
    return undefined;
  }
}
