import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { TestContext } from 'node:test';

/** Another process that runs a program of this folder and says a line for everything that it does. */
export class Child {
  readonly pid: number;
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #ended: Promise<unknown>;

  constructor(t: TestContext, program: string, args: readonly string[]) {
    const path = fileURLToPath(new URL(program, import.meta.url));
    this.#process = spawn(process.execPath, [path, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.pid = this.#process.pid ?? 0;
    const { stdout } = this.#process;
    if (stdout === null) throw new Error('no pipe');
    this.#lines = createInterface(stdout)[Symbol.asyncIterator]();
    this.#ended = once(this.#process, 'exit');
    t.after(() => this.kill());
  }

  /** The next line it says; undefined when it has ended. */
  async says(): Promise<string | undefined> {
    const next = await this.#lines.next();
    return next.done === true ? undefined : next.value;
  }

  tell(line: string): void {
    this.#process.stdin?.write(`${line}\n`);
  }

  /** Ends it with SIGKILL and waits until it is gone. */
  async kill(): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.#ended;
  }

  async ends(): Promise<void> {
    await this.#ended;
  }
}
