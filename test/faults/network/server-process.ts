import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

import { FaultServer, HONEST, madeUpContent } from '../fault-server.ts';

interface Made {
  readonly seed: number;
  readonly size: number;
  /** For each request. */
  readonly bytesPerSecond: number;
  readonly address?: string;
}

/** An honest server in a process of its own, which can be stopped as only a process can. */
export class ServerProcess implements AsyncDisposable {
  readonly url: URL;
  readonly #process: ChildProcess;

  private constructor(process: ChildProcess, url: URL) {
    this.#process = process;
    this.url = url;
  }

  /** @param within command line that it is run by, such as one that enters a network namespace */
  static async start(made: Made, within: readonly string[] = []): Promise<ServerProcess> {
    const [command, ...args] = [...within, process.execPath, import.meta.filename, JSON.stringify(made)];
    if (command === undefined) throw new Error('there is nothing to run');
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const lines = createInterface({ input: child.stdout });
    const [line] = (await once(lines, 'line')) as [string];
    return new ServerProcess(child, new URL(line));
  }

  /** Its connections stay; it does nothing. */
  stop(): void {
    this.#process.kill('SIGSTOP');
  }

  goOn(): void {
    this.#process.kill('SIGCONT');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#process, 'close');
    this.#process.kill('SIGKILL');
    await closed;
  }
}

if (import.meta.main) {
  const { seed, size, bytesPerSecond, address = '127.0.0.1' } = JSON.parse(process.argv[2] ?? '') as Made;
  const content = madeUpContent(seed, size);
  const server = await FaultServer.start({ content, address, script: { ...HONEST, bytesPerSecond } });
  console.log(server.url.href);
}
