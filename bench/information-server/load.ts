import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export interface LoadRequest {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: string;
}

/** What a load program is to do. */
export interface LoadOrder {
  readonly origin: string;
  /** Sent by chance with each request. */
  readonly tokens: readonly string[];
  /** Chosen by chance. */
  readonly requests: readonly LoadRequest[];
  readonly connections: number;
  readonly seconds: number;
  /** Requests a second; undefined: as many as are answered. */
  readonly rate?: number;
}

/** What it saw; times in milliseconds. */
export interface LoadReport {
  readonly requests: number;
  readonly failed: number;
  readonly firstFailure?: string;
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly most: number;
}

const PROGRAM = fileURLToPath(new URL('load-program.ts', import.meta.url));

/** Puts a load on an information server from a process of its own. */
export async function putLoad(order: LoadOrder, signal: AbortSignal): Promise<LoadReport> {
  const child = spawn(process.execPath, [PROGRAM, JSON.stringify(order)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    signal,
  });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => (said += part));
  const [status] = (await once(child, 'close')) as [number | null];
  if (status !== 0) throw new Error(`the load program ended with ${status}`);
  return JSON.parse(said) as LoadReport;
}
