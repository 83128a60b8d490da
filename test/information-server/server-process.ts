import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

import { program } from '../integration/program.ts';

/** What `headwater information-server --json` says when it is up. */
interface Ready {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  readonly leader: boolean;
}

/** An information server as a process of its own. */
export class ServerProcess implements AsyncDisposable {
  readonly ready: Ready;
  readonly #process: ChildProcess;
  readonly #log: string[];
  readonly #ended: Promise<unknown>;

  private constructor(ready: Ready, process: ChildProcess, log: string[], ended: Promise<unknown>) {
    this.ready = ready;
    this.#process = process;
    this.#log = log;
    this.#ended = ended;
  }

  static async start(
    data: string,
    {
      database,
      env = {},
      args = [],
    }: { database?: string; env?: NodeJS.ProcessEnv; args?: readonly string[] } = {},
  ): Promise<ServerProcess> {
    const all = [
      'information-server',
      '--data',
      data,
      '--port',
      '0',
      '--address',
      '127.0.0.1',
      '--json',
      ...args,
    ];
    const { NODE_TEST_CONTEXT: _context, NODE_OPTIONS: _options, ...own } = process.env;
    const started = spawn(program, all, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...own, ...(database !== undefined && { HEADWATER_DATABASE_URL: database }), ...env },
    });
    const ended = once(started, 'close');
    const log: string[] = [];
    createInterface(started.stderr).on('line', (line) => log.push(line));
    const lines = createInterface(started.stdout);
    const [line] = (await Promise.race([once(lines, 'line'), ended.then(() => [undefined])])) as [
      string | undefined,
    ];
    if (line === undefined) throw new Error(`it did not start: ${log.join('\n')}`);
    return new ServerProcess(JSON.parse(line) as Ready, started, log, ended);
  }

  get url(): string {
    return this.ready.url;
  }

  /** Lines of its log. */
  get log(): readonly string[] {
    return this.#log;
  }

  signal(name: NodeJS.Signals): void {
    process.kill(this.ready.pid, name);
  }

  /** Ends it with SIGTERM. */
  async end(): Promise<{ status: number | null }> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      this.signal('SIGCONT');
      this.signal('SIGTERM');
    }
    await this.#ended;
    return { status: this.#process.exitCode };
  }

  /** Ends it with SIGKILL. */
  async kill(): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) this.signal('SIGKILL');
    await this.#ended;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }
}
