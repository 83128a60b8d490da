import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import {
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type RequestOptions,
} from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { serve } from '../../src/file-server/serve.ts';
import type { ServeEvent, ServeOptions, Serving } from '../../src/file-server/serve-types.ts';

const HOUR = 3600;

/** Files in a folder of their own, removed in the end. All were last changed an hour ago. */
export class Files implements AsyncDisposable {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async of(files: Readonly<Record<string, string | Uint8Array>>): Promise<Files> {
    const made = new Files(await mkdtemp(join(tmpdir(), 'headwater-serve-')));
    for (const [name, content] of Object.entries(files)) await made.write(name, content);
    return made;
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  async write(name: string, content: string | Uint8Array): Promise<void> {
    const path = this.path(name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, content);
    const then = Math.floor(Date.now() / 1000) - HOUR;
    await utimes(path, then, then);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** A folder's files on one or more servers of this process, all hashed. */
export class Served implements AsyncDisposable {
  readonly files: Files;
  readonly serving: Serving;
  readonly events: ServeEvent[];

  private constructor(files: Files, serving: Serving, events: ServeEvent[]) {
    this.files = files;
    this.serving = serving;
    this.events = events;
  }

  static async of(
    content: Readonly<Record<string, string | Uint8Array>>,
    options: ServeOptions = {},
  ): Promise<Served> {
    const files = await Files.of(content);
    const events: ServeEvent[] = [];
    const serving = await serve([files.folder], {
      ports: [0],
      address: '127.0.0.1',
      cache: false,
      onEvent: (event) => events.push(event),
      ...options,
    });
    await serving.hashed;
    return new Served(files, serving, events);
  }

  get server() {
    const server = this.serving.servers[0];
    if (server === undefined) throw new Error('no server');
    return server;
  }

  get url(): string {
    return this.server.url;
  }

  ask(path: string, headers: Record<string, string> = {}, more: RequestOptions = {}): Promise<Answer> {
    return ask(this.url, path, headers, more);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.serving.close(0);
    await this.files[Symbol.asyncDispose]();
  }
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** Asks on a connection of its own; the path is sent as it is. */
export async function ask(
  url: string,
  path: string,
  headers: Record<string, string> = {},
  more: RequestOptions = {},
): Promise<Answer> {
  const response = await open(url, path, headers, more);
  const parts: Buffer[] = [];
  for await (const part of response) parts.push(part as Buffer);
  return { status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(parts) };
}

/** Asks, and leaves the body to be read by the caller. */
export async function open(
  url: string,
  path: string,
  headers: Record<string, string> = {},
  more: RequestOptions = {},
): Promise<IncomingMessage> {
  const { hostname, port } = new URL(url);
  const request = httpRequest({ host: hostname, port, path, headers, agent: false, ...more });
  request.end();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return response;
}

/** A connection that says what it is told to. */
export async function rawConnection(url: string): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  return socket;
}

/** Everything that comes until the other side closes. */
export async function readToEnd(socket: Socket): Promise<string> {
  const parts: Buffer[] = [];
  try {
    for await (const part of socket) parts.push(part as Buffer);
  } catch {
    // A reset ends it as well.
  }
  return Buffer.concat(parts).toString('latin1');
}

/** Waits until something is so, which must happen within the time that a slow machine may take. */
export async function until(what: () => boolean | Promise<boolean>, milliseconds = 20_000): Promise<void> {
  const end = performance.now() + milliseconds;
  while (!(await what())) {
    if (performance.now() > end) throw new Error(`waited in vain for ${what.toString()}`);
    await new Promise((resolve) => {
      setTimeout(resolve, 10);
    });
  }
}

const PROGRAM = join(import.meta.dirname, '../../bin/headwater');

/** The program itself: what is said to it and what it says, line by line. */
export class Program implements AsyncDisposable {
  readonly process: ChildProcess;
  readonly lines: string[] = [];
  readonly complaints: string[] = [];
  readonly exited: Promise<number | string>;

  constructor(args: readonly string[], env: Readonly<Record<string, string>>) {
    this.process = spawn(process.execPath, [PROGRAM, ...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    collect(this.process.stdout, this.lines);
    collect(this.process.stderr, this.complaints);
    this.exited = once(this.process, 'close').then(([code, signal]) => (code ?? signal) as number | string);
  }

  say(line: string): void {
    this.process.stdin?.write(`${line}\n`);
  }

  /** The first line from `from` on that holds the text or fits the pattern. */
  async line(pattern: string | RegExp, from = 0): Promise<string> {
    const find = () =>
      this.lines
        .slice(from)
        .find((line) => (typeof pattern === 'string' ? line.includes(pattern) : pattern.test(line)));
    await until(() => find() !== undefined || this.process.exitCode !== null);
    const found = find();
    if (found === undefined)
      throw new Error(`no line ${pattern}; ${this.lines.join('\n')} ${this.complaints.join('\n')}`);
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.process.kill('SIGKILL');
    await this.exited;
  }
}

function collect(stream: NodeJS.ReadableStream | null, lines: string[]): void {
  let rest = '';
  stream?.setEncoding('utf8').on('data', (text: string) => {
    const parts = (rest + text).split('\n');
    rest = parts.pop() ?? '';
    lines.push(...parts);
  });
}
