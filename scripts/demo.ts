/**
 * The main job on real input: one file, four servers that send at different rates, one of them killed on the way.
 *
 *   npm run demo               serves the Node executable that the install brought along
 *   npm run demo -- PATH       serves this file
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { mkdtemp, rm, stat, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, relative, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { pipeline } from 'node:stream/promises';

import { size } from '../src/cli/print/amounts.ts';
import { shellQuoted } from '../src/cli/resume-command.ts';

/** What each server may send, as parts of the whole. */
const RATES = [1, 2, 3, 4];
const ALL_RATES = RATES.reduce((sum, each) => sum + each, 0);
/** Seconds that the download takes if the servers do what they may; long enough to watch. */
const SECONDS = 5.5;
/** The server that is killed, from 1, when this part of the file has been sent. */
const VICTIM = 3;
const KILL_AT = 1 / 3;
/** Room that must stay free beside the copy, bytes. */
const SPARE = 64 * 1024 * 1024;

const program = join(import.meta.dirname, '..', 'bin', 'headwater');
const file = resolve(process.argv[2] ?? process.execPath);
const fileSize = await sizeOf(file);
if (fileSize === 0) {
  console.error(`headwater: npm run demo takes a file that is not empty; ${file} is none`);
  process.exit(2);
}
const folder = await mkdtemp(join(tmpdir(), 'headwater-demo-'));
const stopped = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stopped.abort());

const children: ChildProcess[] = [];
try {
  process.exitCode = await demo();
} catch (error) {
  if (!stopped.signal.aborted) throw error;
  process.exitCode = 130;
} finally {
  for (const child of children) child.kill('SIGKILL');
  await rm(folder, { recursive: true, force: true });
  console.log(`Removed ${folder}.`);
}

async function demo(): Promise<number> {
  const free = await statfs(folder);
  if (free.bavail * free.bsize < fileSize + SPARE) {
    console.error(
      `headwater: ${folder} has no room for a copy of ${size(fileSize)}; TMPDIR=... names another folder`,
    );
    return 5;
  }
  console.log(`Serving ${relative('.', file)}, ${size(fileSize)}, from four servers on this machine:`);
  const servers = await Promise.all(RATES.map(startServer));
  for (const [at, { url, limit }] of servers.entries()) {
    console.log(`  ${at + 1}  ${url}  at most ${size(limit)}/s`);
  }
  console.log(`Server ${VICTIM} will be killed (SIGKILL) when a third of the file has been sent.\n`);

  const copy = join(folder, 'copy');
  const ports = servers.map(({ url }) => new URL(url).port).join(',');
  const args = ['get', basename(file), '-a', '127.0.0.1', '-p', ports, '-o', copy];
  console.log(`$ headwater ${args.map(shellQuoted).join(' ')}`);
  const began = performance.now();
  const killed = killOneOf(servers, began);
  const status = await end(start(args, 'inherit'));
  if (stopped.signal.aborted) return 130;
  if (status !== 0) {
    console.error(`headwater: the download ended with status ${status}`);
    return 1;
  }
  console.log(`\n${killed.said()}`);
  return (await sameBytes(copy)) ? 0 : 1;
}

interface Server {
  readonly process: ChildProcess;
  readonly url: string;
  /** Bytes a second. */
  readonly limit: number;
  /** Bytes that it has sent so far. */
  sent: number;
  onSent: () => void;
}

async function startServer(part: number): Promise<Server> {
  const limit = Math.max(1024, Math.ceil((fileSize / SECONDS) * (part / ALL_RATES)));
  const flags = ['-a', '127.0.0.1', '-p', '0', '-i', '0.1', '--limit', String(limit), '--json'];
  const child = start(['serve', file, ...flags], 'pipe');
  const lines = createInterface({ input: child.stdout ?? process.stdin });
  const server: Server = { process: child, url: '', limit, sent: 0, onSent: () => undefined };
  return new Promise((ready, failed) => {
    child.once('exit', (code) => failed(new Error(`a server ended with status ${code}`)));
    lines.on('line', (line) => {
      const { servers, hashing } = JSON.parse(line) as ServerEvent;
      const own = servers?.[0];
      if (own === undefined) return;
      server.sent = own.bytesSent;
      server.onSent();
      // Until the file's digests are known, the server answers 503.
      if (hashing === undefined || hashing.filesDone < hashing.files) return;
      ready(Object.assign(server, { url: `${own.url}${encodeURIComponent(basename(file))}` }));
    });
  });
}

/** What the demo reads of the lines that `serve --json` prints. */
interface ServerEvent {
  readonly servers?: readonly { readonly url: string; readonly bytesSent: number }[];
  readonly hashing?: { readonly files: number; readonly filesDone: number };
}

function killOneOf(servers: readonly Server[], began: number): { said: () => string } {
  let after: number | undefined;
  const look = (): void => {
    const sent = servers.reduce((sum, each) => sum + each.sent, 0);
    if (after !== undefined || sent < fileSize * KILL_AT) return;
    servers[VICTIM - 1]?.process.kill('SIGKILL');
    after = (performance.now() - began) / 1000;
  };
  for (const server of servers) server.onSent = look;
  return {
    said: () =>
      after === undefined
        ? `Server ${VICTIM} was to be killed, but the download was over before.`
        : `Server ${VICTIM} was killed after ${after.toFixed(1)} s; the others sent what it still owed.`,
  };
}

/** Not with the program's own means: both files are read from the start to the end and hashed. */
async function sameBytes(copy: string): Promise<boolean> {
  const [original, downloaded] = await Promise.all([digest(file), digest(copy)]);
  console.log(`SHA-256 of the original  ${original}\nSHA-256 of the download  ${downloaded}`);
  const same = original === downloaded;
  console.log(same ? 'They are the same.' : 'THEY DIFFER: this is a defect, please report it.');
  return same;
}

async function digest(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

function start(args: readonly string[], out: 'inherit' | 'pipe'): ChildProcess {
  const child = spawn(process.execPath, [program, ...args], {
    stdio: ['ignore', out, 'inherit'],
    // The servers' digests are kept in a cache folder: here in one that goes away.
    env: { ...process.env, XDG_CACHE_HOME: join(folder, 'cache') },
  });
  children.push(child);
  return child;
}

async function end(child: ChildProcess): Promise<number | null> {
  const handOn = (): boolean => child.kill('SIGINT');
  stopped.signal.addEventListener('abort', handOn);
  await once(child, 'exit');
  stopped.signal.removeEventListener('abort', handOn);
  return child.exitCode;
}

/** Bytes; 0 for what is no file. */
async function sizeOf(path: string): Promise<number> {
  const found = await stat(path).catch(() => undefined);
  return found?.isFile() === true ? found.size : 0;
}
