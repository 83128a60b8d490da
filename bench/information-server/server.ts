import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

import { headwater } from '../commands.ts';
import { cleanEnvironment, killTree, treeCpuSeconds } from '../processes.ts';
import type { Workspace } from '../workspace.ts';

/** `headwater information-server` as a process. */
export class InformationServerProcess implements AsyncDisposable {
  readonly url: string;
  readonly #child: ChildProcess;

  private constructor(url: string, child: ChildProcess) {
    this.url = url;
    this.#child = child;
  }

  /** @param settings where it listens (default: loopback), and more for its environment */
  static async start(
    workspace: Workspace,
    settings: { readonly address?: string; readonly env: Readonly<Record<string, string>> },
  ): Promise<InformationServerProcess> {
    const { address = '127.0.0.1', env } = settings;
    const data = await workspace.folder('information-server');
    const words = ['--data', data, '--address', address, '--port', '0', '--json', '--log', 'error'];
    const [program = '', ...rest] = headwater('information-server', ...words);
    const child = spawn(program, rest, {
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { ...cleanEnvironment(workspace.at('home')), ...env },
    });
    const ended = once(child, 'exit').then(() => {
      throw new Error('headwater information-server ended before it said where it is');
    });
    const said = new Promise<string>((resolve) => {
      createInterface(child.stdout).on('line', (line) => {
        const url = /http:\/\/[\d.]+:\d+/.exec(line)?.[0];
        if (url !== undefined) resolve(url);
      });
    });
    return new InformationServerProcess(await Promise.race([said, ended]), child);
  }

  /** User and system seconds so far. */
  get cpu(): number {
    return treeCpuSeconds(this.#pid);
  }

  /** Most resident memory so far, bytes, of the server itself. */
  get memory(): number {
    return pidsBelow(this.#pid)
      .map(
        (pid) =>
          Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024,
      )
      .reduce((most, each) => Math.max(most, each), 0);
  }

  get #pid(): number {
    return this.#child.pid ?? -1;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await killTree(this.#child);
  }
}

/** The program may start the repository's own Node below it. */
function pidsBelow(root: number): number[] {
  const children = readFileSync(`/proc/${root}/task/${root}/children`, 'utf8')
    .split(' ')
    .filter(Boolean)
    .map(Number);
  return [root, ...children.flatMap(pidsBelow)];
}
