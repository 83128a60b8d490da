import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import type { MadeUpServer } from './fleet-database.ts';

/** What a program that plays file servers is to do. */
export interface ServersOrder {
  readonly origin: string;
  readonly servers: readonly MadeUpServer[];
  /** New files that the first of them announces, with their manifests. */
  readonly files: number;
  /** Seconds for which heartbeats are sent at the least. */
  readonly seconds: number;
}

/** What it saw; times of heartbeats in milliseconds. */
export interface ServersReport {
  readonly heartbeats: number;
  readonly failed: number;
  readonly firstFailure?: string;
  readonly p99: number;
  readonly most: number;
  /** What announcing took. */
  readonly seconds: number;
}

const PROGRAM = fileURLToPath(new URL('servers-program.ts', import.meta.url));

/** Plays file servers from a process of its own. */
export async function playServers(order: ServersOrder, signal: AbortSignal): Promise<ServersReport> {
  const child = spawn(process.execPath, [PROGRAM], {
    stdio: ['pipe', 'pipe', 'inherit'],
    signal,
  });
  // Too long for a command line.
  child.stdin.end(JSON.stringify(order));
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => (said += part));
  const [status] = (await once(child, 'close')) as [number | null];
  if (status !== 0) throw new Error(`the program that plays file servers ended with ${status}`);
  return JSON.parse(said) as ServersReport;
}
