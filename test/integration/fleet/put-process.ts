import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

import type { UploadEvent } from '../../../src/client/upload/types.ts';
import { program } from '../program.ts';
import type { Place } from './up-process.ts';

type Done = Extract<UploadEvent, { event: 'done' }>;

/** `headwater put --json` as a process that something is done to while it runs. */
export class PutProcess {
  readonly events: UploadEvent[] = [];
  readonly process: ChildProcessWithoutNullStreams;
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  stderr = '';
  #news = Promise.withResolvers<void>();

  constructor(place: Place, args: readonly string[]) {
    const { NODE_TEST_CONTEXT: _context, NODE_OPTIONS: _options, ...own } = process.env;
    this.process = spawn(program, ['put', ...args, '--json', '--interval', '0.05'], {
      cwd: place.folder,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...own, ...place.env },
    });
    createInterface({ input: this.process.stdout }).on('line', (line) => {
      this.events.push(JSON.parse(line) as UploadEvent);
      this.#told();
    });
    this.process.stderr.on('data', (data) => (this.stderr += String(data)));
    this.ended = once(this.process, 'close').then(([code, signal]) => {
      this.#told();
      return { code: code as number | null, signal: signal as NodeJS.Signals | null };
    });
  }

  /** Waits until so many bytes of the file have their copies, or are on their way. */
  async came(bytes: number): Promise<void> {
    for (;;) {
      if (this.events.some((event) => event.event === 'progress' && event.bytes >= bytes)) return;
      if (this.process.exitCode !== null || this.process.signalCode !== null) {
        throw new Error(`it ended before: ${this.stderr} ${JSON.stringify(this.events.at(-1))}`);
      }
      await this.#news.promise;
    }
  }

  /** What it ends with, when it ends well. */
  async done(): Promise<Done> {
    const { code, signal } = await this.ended;
    const last = this.events.at(-1);
    if (code === 0 && last?.event === 'done') return last;
    throw new Error(
      `it ended with ${code ?? signal}: ${this.stderr} ${JSON.stringify(this.events.slice(-3))}`,
    );
  }

  #told(): void {
    this.#news.resolve();
    this.#news = Promise.withResolvers();
  }
}
