/**
 * Plays the file servers of a fleet towards an information server, from a process of its own: all send heartbeats, and one
 * of them announces new files with their manifests. It reads a `ServersOrder` in JSON and prints one JSON line with
 * what it saw.
 */
import { createHash, randomBytes } from 'node:crypto';
import { text } from 'node:stream/consumers';

import { Agent, request } from 'undici';

import { canonicalManifest } from '../../src/core/manifest.ts';
import type { ServersOrder, ServersReport } from './servers.ts';

/** Milliseconds between two heartbeats of a server. */
const HEARTBEAT = 2_000;
/** Files of one announcement. */
const PAGE = 1_000;
/** Manifests sent at the same time, as a file server does. */
const LANES = 64;

const order = JSON.parse(await text(process.stdin)) as ServersOrder;
const agent = new Agent({ connections: order.servers.length + LANES });
/** Names and contents that no earlier run has told of. */
const run = randomBytes(6).toString('hex');
const delays: number[] = [];
let failed = 0;
let firstFailure: string | undefined;

const timers: NodeJS.Timeout[] = [];
for (const [index, { id, token }] of order.servers.entries()) {
  const beat = () => void heartbeat(id, token, index);
  const offset = (HEARTBEAT * index) / order.servers.length;
  timers.push(setTimeout(() => timers.push(setInterval(beat, HEARTBEAT)), offset));
}
const began = performance.now();
const least = new Promise((resolve) => setTimeout(resolve, order.seconds * 1000));
await announceAll();
const seconds = (performance.now() - began) / 1000;
await least;
for (const timer of timers) clearInterval(timer);
const most = delays.reduce((most, each) => Math.max(most, each), 0);
delays.sort((one, other) => one - other);
const report: ServersReport = {
  heartbeats: delays.length,
  failed,
  ...(firstFailure !== undefined && { firstFailure }),
  p99: delays[Math.floor(delays.length * 0.99)] ?? Number.NaN,
  most,
  seconds,
};
process.stdout.write(`${JSON.stringify(report)}\n`);
await agent.destroy();

async function heartbeat(id: string, token: string, index: number): Promise<void> {
  const sent = performance.now();
  const figures = { answers: 1, clients: 1, rate: index, bytesSent: 1, holdingsVersion: 0 };
  const body = { instance: 1, state: 'running', ...figures, time: new Date().toISOString() };
  try {
    await ask('POST', `servers/${id}/heartbeat`, token, body);
    delays.push(performance.now() - sent);
  } catch (error) {
    failed++;
    firstFailure ??= (error as Error).message;
  }
}

async function announceAll(): Promise<void> {
  const [holder] = order.servers;
  if (holder === undefined) return;
  const { id, token } = holder;
  for (let from = 0; from < order.files; from += PAGE) {
    const made = Array.from({ length: Math.min(PAGE, order.files - from) }, (_, at) => madeUp(from + at));
    const to = from + made.length;
    const added = made.map(({ name, size, sha256, manifestSha256 }) => ({
      name,
      size,
      sha256,
      manifestSha256,
    }));
    const step = { instance: 1, from, to, last: to === order.files, added, removed: [] };
    await ask('POST', `servers/${id}/holdings`, token, step);
    const queue = made.values();
    const lanes = Array.from({ length: LANES }, async () => {
      for (const { manifestSha256, manifest } of queue)
        await ask('PUT', `servers/${id}/manifests/${manifestSha256}`, token, manifest);
    });
    await Promise.all(lanes);
  }
}

async function ask(method: 'POST' | 'PUT', path: string, token: string, body: unknown): Promise<void> {
  const answer = await request(`${order.origin}/v1/${path}`, {
    method,
    dispatcher: agent,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
    headersTimeout: 60_000,
  });
  const said = await answer.body.text();
  if (answer.statusCode >= 400) throw new Error(`${method} ${path}: ${answer.statusCode} ${said}`);
}

function madeUp(index: number) {
  const sha256 = digest(`${run} ${index}`);
  const size = 500_000 + index;
  const manifest = { version: 1 as const, size, chunkSize: 2 ** 20, sha256, chunks: [sha256] };
  const name = `folder-${index % 1_000}/${run}/file number ${index}.bin`;
  return { name, size, sha256, manifestSha256: digest(canonicalManifest(manifest)), manifest };
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
