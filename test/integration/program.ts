import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));
export const program = join(root, 'bin', 'headwater');

export interface Ended {
  /** Undefined when a signal ended it. */
  readonly status: number | undefined;
  readonly signal: NodeJS.Signals | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
}

type Process = ChildProcessByStdio<null, Readable, Readable>;

/** bin/headwater as a person calls it, with nothing on standard input. */
export class Running {
  readonly process: Process;
  readonly ended: Promise<Ended>;

  constructor(args: readonly string[], options: RunOptions = {}, command: string = program) {
    this.process = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      cwd: options.cwd,
      env: { ...environment(), ...options.env },
    });
    this.ended = this.#end();
  }

  async #end(): Promise<Ended> {
    const [stdout, stderr, [status, signal]] = await Promise.all([
      text(this.process.stdout),
      text(this.process.stderr),
      once(this.process, 'close') as Promise<[number | null, NodeJS.Signals | null]>,
    ]);
    return { status: status ?? undefined, signal: signal ?? undefined, stdout, stderr };
  }
}

export function headwater(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  return new Running(args, options).ended;
}

/** Without what a test runner adds, and in plain text. */
function environment(): NodeJS.ProcessEnv {
  const { NODE_TEST_CONTEXT: _context, FORCE_COLOR: _colour, NODE_OPTIONS: _options, ...env } = process.env;
  return env;
}

/** A Node of the machine's own that is too old for the program, as many machines have one. */
export function olderNode(): string | undefined {
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((each) => join(each, 'node'))
    .find((each) => existsSync(each) && majorOf(each) < 24);
}

function majorOf(node: string): number {
  const { stdout } = spawnSync(node, ['--version'], { encoding: 'utf8' });
  return Number(/^v(\d+)/.exec(stdout)?.[1] ?? Infinity);
}
