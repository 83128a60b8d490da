import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import type { UpEvent } from '../../../src/cli/up/up-types.ts';
import { madeUpContent } from '../../faults/content.ts';
import { headwater, program, root, type Ended } from '../program.ts';

type Ready = Extract<UpEvent, { event: 'ready' }>;

/** Milliseconds within which whatever is waited for comes, also on a busy machine. */
const MOST_WAIT = 60_000;

export const EMAIL = 'ada@example.org';
export const PASSWORD = 'correct horse battery';

/** Folders of one fleet, and a person who uses it. */
export class Place {
  readonly folder: string;
  readonly #database: string;
  readonly #ups: UpProcess[] = [];

  private constructor(folder: string, database: string) {
    this.folder = folder;
    this.#database = database;
  }

  /** @param database of the fleet; default: SQLite in the data folder */
  static async make(t: TestContext, database = ''): Promise<Place> {
    const place = new Place(await mkdtemp(join(tmpdir(), 'headwater-up-')), database);
    t.after(async () => {
      for (const up of place.#ups) await up.end();
      await rm(place.folder, { recursive: true, force: true });
    });
    await mkdir(place.files);
    await writeFile(join(place.folder, 'password'), `${PASSWORD}\n`);
    return place;
  }

  get data(): string {
    return join(this.folder, 'data');
  }

  get env(): NodeJS.ProcessEnv {
    return {
      HEADWATER_CONFIG: join(this.folder, 'config'),
      XDG_CACHE_HOME: join(this.folder, 'cache'),
      HEADWATER_ADMIN_EMAIL: EMAIL,
      HEADWATER_ADMIN_PASSWORD: PASSWORD,
      HEADWATER_DATABASE_URL: this.#database,
      HEADWATER_BROKER_URL: '',
    };
  }

  /** What is served. */
  get files(): string {
    return join(this.folder, 'files');
  }

  /** Bytes of a file in the folder that is served. */
  async file(name: string, seed: number, size: number): Promise<Uint8Array> {
    const bytes = madeUpContent(seed, size).read(0, size);
    await writeFile(join(this.files, name), bytes);
    return bytes;
  }

  /** @param command how it is called */
  up(args: readonly string[] = [], command?: readonly string[]): UpProcess {
    const up = new UpProcess(['--data', this.data, ...args], this.env, command);
    this.#ups.push(up);
    return up;
  }

  run(...args: string[]): Promise<Ended> {
    return headwater(args, { cwd: this.folder, env: this.env });
  }

  /** What a command that must go well prints. */
  async ok(...args: string[]): Promise<string> {
    const { status, stdout, stderr } = await this.run(...args);
    if (status !== 0) throw new Error(`${args.join(' ')}: ${status}: ${stderr}`);
    return stdout;
  }

  async objects<T>(...args: string[]): Promise<T[]> {
    return (await this.ok(...args, '--json'))
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as T);
  }

  login(url: string): Promise<string> {
    return this.ok('login', url, '--email', EMAIL, '--password-file', join(this.folder, 'password'));
  }

  /** Waits until the fleet lists as many files, and this many holders of each. */
  async lists(number: number, holders: number): Promise<void> {
    await until(async () => {
      const files = await this.objects<{ holders: number }>('ls');
      return files.length === number && files.every((each) => each.holders === holders);
    });
  }
}

/** `headwater up --json` as a process. */
export class UpProcess {
  readonly events: UpEvent[] = [];
  readonly process: ChildProcessWithoutNullStreams;
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  stderr = '';
  #news = Promise.withResolvers<void>();

  /** @param command how `up` is called */
  constructor(
    args: readonly string[],
    env: NodeJS.ProcessEnv,
    [command = program, ...first]: readonly string[] = [program, 'up'],
  ) {
    const { NODE_TEST_CONTEXT: _context, NODE_OPTIONS: _options, ...own } = process.env;
    this.process = spawn(command, [...first, '--json', '--port', '0', '--interval', '0.2', ...args], {
      cwd: root,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...own, ...env },
    });
    createInterface({ input: this.process.stdout }).on('line', (line) => {
      this.events.push(JSON.parse(line) as UpEvent);
      this.#news.resolve();
      this.#news = Promise.withResolvers();
    });
    this.process.stderr.on('data', (data) => (this.stderr += String(data)));
    this.ended = once(this.process, 'close').then(([code, signal]) => {
      this.#news.resolve();
      return { code: code as number | null, signal: signal as NodeJS.Signals | null };
    });
  }

  /** The first event that fits, when it comes. */
  async event<T extends UpEvent>(fits: (event: UpEvent) => event is T, from = 0): Promise<T> {
    const end = AbortSignal.timeout(MOST_WAIT);
    for (;;) {
      const found = this.events.slice(from).find(fits);
      if (found !== undefined) return found;
      if (this.process.exitCode !== null || end.aborted) {
        throw new Error(
          `it did not come; standard error: ${this.stderr}; ${JSON.stringify(this.events.slice(-3))}`,
        );
      }
      await Promise.race([this.#news.promise, sleep(500)]);
    }
  }

  ready(): Promise<Ready> {
    return this.event((event): event is Ready => event.event === 'ready');
  }

  /** What the operator types. */
  type(line: string): void {
    this.process.stdin.write(`${line}\n`);
  }

  /** Waits until the server with this number is in this state. */
  async state(number: number, state: string): Promise<void> {
    const from = this.events.length;
    await this.event(
      (event): event is Extract<UpEvent, { event: 'status' }> =>
        event.event === 'status' && event.servers[number - 1]?.state === state,
      from,
    );
  }

  /** Process ids of everything that it has started. */
  get pids(): number[] {
    return this.events.flatMap((event) =>
      event.event === 'process' && event.state === 'started' && event.pid !== undefined ? [event.pid] : [],
    );
  }

  /** Ends it, in whatever state it is, and everything that it has started. */
  async end(): Promise<void> {
    if (this.process.exitCode === null && this.process.signalCode === null) this.process.kill('SIGTERM');
    await this.ended;
    await until(() => this.pids.every((pid) => !isRunning(pid)));
  }
}

export async function until(seen: () => boolean | Promise<boolean>): Promise<void> {
  const end = AbortSignal.timeout(MOST_WAIT);
  while (!(await seen())) {
    if (end.aborted) throw new Error('it did not come to that');
    await sleep(50);
  }
}

/** A process that has ended and was not asked for its status yet does not run. */
export function isRunning(pid: number): boolean {
  if (!existsSync(`/proc/${pid}/stat`)) return false;
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return !/^[ZX]/.test(text.slice(text.lastIndexOf(')') + 2));
  } catch {
    return false;
  }
}
