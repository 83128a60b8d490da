import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, renameSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { HeadwaterError, type ErrorCode } from '../../core/errors.ts';
import { STARTED_BY, toldFault } from './parent.ts';

/** bin/headwater, from src/cli/up and from dist/cli/up alike. */
const PROGRAM = fileURLToPath(new URL('../../../bin/headwater', import.meta.url));
/** A log that is longer than this when its process starts is put aside, bytes. */
const MOST_LOG = 10_000_000;
/** Milliseconds until a process that died is started again: twice as long each time, up to the most. */
const FIRST_PAUSE = 500;
const MOST_PAUSE = 30_000;
/** A process that ran for this long had started well, milliseconds. */
const WELL = 30_000;
/** Milliseconds that a process gets to end well before it is killed. */
const GRACE = 10_000;

/** What a process of the fleet is, and how it is started. */
export interface ChildSpec {
  /** Such as `server-2`. */
  readonly name: string;
  /** Arguments of the program; asked for anew at each start, since a port may be taken meanwhile. */
  readonly args: () => readonly string[] | Promise<readonly string[]>;
  readonly env: NodeJS.ProcessEnv;
  /** Where what it prints goes. */
  readonly log: string;
}

/** What became of a process. */
export interface ChildEnd {
  readonly name: string;
  readonly pid: number | undefined;
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Seconds until it is started again; undefined: it is not, since it ended on request. */
  readonly restartIn: number | undefined;
}

export interface ChildListener {
  readonly onStart: (child: Child) => void;
  readonly onEnd: (end: ChildEnd) => void;
  /** It goes on all the same. */
  readonly onFault: (fault: { readonly code: ErrorCode; readonly message: string }) => void;
}

/** A process of the fleet: started, started again when it dies, and stopped. */
export class Child {
  readonly name: string;
  readonly #spec: ChildSpec;
  readonly #listener: ChildListener;
  #process: ChildProcess | undefined;
  #gone: Promise<void> = Promise.resolve();
  #again: NodeJS.Timeout | undefined;
  #pause = FIRST_PAUSE;
  #stopping = false;
  /** Milliseconds since 1970. */
  startedAt = 0;

  constructor(spec: ChildSpec, listener: ChildListener) {
    this.name = spec.name;
    this.#spec = spec;
    this.#listener = listener;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  get log(): string {
    return this.#spec.log;
  }

  /** Starts it, unless it runs. @throws HeadwaterError `HW_DISK` when its log cannot be written */
  async start(): Promise<void> {
    clearTimeout(this.#again);
    this.#again = undefined;
    if (this.#process !== undefined || this.#stopping) return;
    const args = await this.#spec.args();
    if (this.#process !== undefined || this.#stopping) return;
    const log = openLog(this.#spec.log);
    const started = Date.now();
    const child = spawn(process.execPath, [...process.execArgv, PROGRAM, ...args], {
      // A process group of its own: Ctrl-C at the terminal is for this process, which stops them in their order.
      detached: true,
      stdio: ['ignore', log, log, 'ipc'],
      env: { ...this.#spec.env, [STARTED_BY]: String(process.pid) },
    });
    closeSync(log);
    this.#process = child;
    this.startedAt = started;
    child.on('message', (told) => {
      const fault = toldFault(told);
      if (fault !== undefined) this.#listener.onFault(fault);
    });
    this.#gone = new Promise((resolve) => {
      const over = (code: number | null, signal: NodeJS.Signals | null): void => {
        if (this.#process !== child) return;
        this.#process = undefined;
        this.#over(child.pid, code, signal, Date.now() - started);
        resolve();
      };
      child.once('exit', over);
      child.once('error', () => over(null, null));
    });
    this.#listener.onStart(this);
  }

  /** Does not start it again, where it has died and is about to be. */
  leave(): void {
    if (this.#again === undefined) return;
    clearTimeout(this.#again);
    this.#again = undefined;
    this.#listener.onEnd({ name: this.name, pid: undefined, code: null, signal: null, restartIn: undefined });
  }

  /** Asks it to end, and waits until it has; kills it when it takes too long. */
  async stop(): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#again);
    this.#again = undefined;
    const timer = setTimeout(() => this.kill(), GRACE);
    this.#process?.kill('SIGTERM');
    await this.#gone;
    clearTimeout(timer);
  }

  /** Hands it a signal. */
  signal(signal: NodeJS.Signals): void {
    this.#process?.kill(signal);
  }

  /** Ends it at once. */
  kill(): void {
    this.#process?.kill('SIGKILL');
  }

  #over(pid: number | undefined, code: number | null, signal: NodeJS.Signals | null, ran: number): void {
    const wanted = this.#stopping || code === 0;
    if (ran > WELL) this.#pause = FIRST_PAUSE;
    const restartIn = wanted ? undefined : this.#pause / 1000;
    if (!wanted) {
      this.#again = setTimeout(() => void this.start().catch(() => undefined), this.#pause);
      this.#pause = Math.min(MOST_PAUSE, this.#pause * 2);
    }
    this.#listener.onEnd({ name: this.name, pid, code, signal, restartIn });
  }
}

function openLog(path: string): number {
  try {
    if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) > MOST_LOG) renameSync(path, `${path}.1`);
    return openSync(path, 'a', 0o600);
  } catch (cause) {
    throw new HeadwaterError('HW_DISK', `cannot write the log ${path}: ${(cause as Error).message}`, {
      cause,
    });
  }
}
