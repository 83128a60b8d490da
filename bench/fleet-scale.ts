/**
 * An information server under 2,000 file servers that send heartbeats while one of them announces a million files: how long
 * it takes, what it costs and how much memory is used. `node bench/fleet-scale.ts [FILES] [SERVERS] [MANIFESTS] [DATABASE]`:
 * of the first MANIFESTS files the manifests are sent too, unless told otherwise of all.
 */
import { fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Agent, request } from 'undici';

import { canonicalManifest } from '../src/core/manifest.ts';
import { startInformationServer } from '../src/information-server/information-server.ts';

const PAGE = 1_000;
/** Manifests sent at the same time. */
const LANES = 64;

interface Seen {
  readonly url: string;
  readonly rss: number;
  readonly cpu: number;
}

if (process.send !== undefined) await serve();
else await measure();

async function serve(): Promise<void> {
  const [, , data = '', database] = process.argv;
  const server = await startInformationServer({
    data,
    address: '127.0.0.1',
    port: 0,
    ...(database !== undefined && { database }),
  });
  const tell = (): void => {
    const { user, system } = process.cpuUsage();
    process.send?.({ url: server.url, rss: process.memoryUsage.rss(), cpu: (user + system) / 1e6 });
  };
  process.on('message', tell);
  process.on('disconnect', () => void server.close());
  tell();
}

async function measure(): Promise<void> {
  const [, , files = '1000000', count = '2000', manifests = files, database] = process.argv;
  const data = await mkdtemp(join(tmpdir(), 'headwater-scale-'));
  const child = fork(fileURLToPath(import.meta.url), [data, ...(database === undefined ? [] : [database])]);
  const look = async (): Promise<Seen> => {
    child.send('look');
    const [seen] = (await once(child, 'message')) as [Seen];
    return seen;
  };
  const [{ url }] = (await once(child, 'message')) as [Seen];
  let peak = 0;
  const watching = setInterval(() => void look().then(({ rss }) => (peak = Math.max(peak, rss))), 500);
  try {
    const joinToken = (await readFile(join(data, 'join-token'), 'utf8')).trim();
    await run({
      url,
      joinToken,
      files: Number(files),
      count: Number(count),
      manifests: Number(manifests),
      look,
    });
    console.log(`largest resident size ${mib(peak)}`);
  } finally {
    clearInterval(watching);
    child.disconnect();
    await once(child, 'exit');
    await rm(data, { recursive: true, force: true });
  }
}

interface Run {
  readonly url: string;
  readonly joinToken: string;
  readonly files: number;
  readonly count: number;
  /** Of so many files the manifests are sent. */
  readonly manifests: number;
  readonly look: () => Promise<Seen>;
}

async function run({ url, joinToken, files, count, manifests, look }: Run): Promise<void> {
  const agent = new Agent({ connections: 2_500 });
  const ask = async (
    method: 'POST' | 'PUT',
    path: string,
    token: string,
    body: unknown,
  ): Promise<unknown> => {
    const answer = await request(`${url}/v1/${path}`, {
      method,
      dispatcher: agent,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    const text = await answer.body.text();
    if (answer.statusCode >= 400) throw new Error(`${method} ${path}: ${answer.statusCode} ${text}`);
    return text === '' ? undefined : JSON.parse(text);
  };
  const began = await look();
  console.log(`at the start ${mib(began.rss)}`);
  let at = performance.now();
  const servers = await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const told = { instance: 1, name: `s${index}`, zone: 'z', url: `http://s${index}.test`, version: '0' };
      return (await ask('POST', 'servers', joinToken, told)) as { id: string; token: string };
    }),
  );
  console.log(`${count} servers registered in ${seconds(at)}`);
  const delays: number[] = [];
  const beats = servers.map(({ id, token }, index) => {
    const beat = async (): Promise<void> => {
      const sent = performance.now();
      const figures = { answers: 1, clients: 1, rate: index, bytesSent: 1, holdingsVersion: 0 };
      const body = { instance: 1, state: 'running', ...figures, time: new Date().toISOString() };
      await ask('POST', `servers/${id}/heartbeat`, token, body).then(
        () => delays.push(performance.now() - sent),
        () => delays.push(Infinity),
      );
    };
    return { beat, offset: (2_000 * index) / count };
  });
  const timers: NodeJS.Timeout[] = [];
  for (const { beat, offset } of beats) {
    timers.push(setTimeout(() => timers.push(setInterval(() => void beat(), 2_000)), offset));
  }
  const before = await look();
  at = performance.now();
  await new Promise((resolve) => setTimeout(resolve, 10_000));
  const quiet = await look();
  const busy = (quiet.cpu - before.cpu) / ((performance.now() - at) / 1_000);
  console.log(
    `heartbeats of ${count} alone: ${(busy * 100).toFixed(0)} % of a core, ${told(delays.splice(0))}`,
  );
  const [holder] = servers;
  if (holder === undefined) return;
  const { id, token } = holder;
  at = performance.now();
  for (let from = 0; from < files; from += PAGE) {
    const made = Array.from({ length: Math.min(PAGE, files - from) }, (_, index) => madeUp(from + index));
    const announcement = {
      instance: 1,
      from,
      to: from + PAGE,
      last: from + PAGE >= files,
      added: made.map(announced),
      removed: [],
    };
    await ask('POST', `servers/${id}/holdings`, token, announcement);
    const queue = made.slice(0, Math.max(0, manifests - from)).values();
    const lanes = Array.from({ length: LANES }, async () => {
      for (const { manifestSha256, manifest } of queue)
        await ask('PUT', `servers/${id}/manifests/${manifestSha256}`, token, manifest);
    });
    await Promise.all(lanes);
  }
  const after = await look();
  console.log(
    `${files} files announced, with the manifests of ${Math.min(files, manifests)}, in ${seconds(at)}, ${(after.cpu - quiet.cpu).toFixed(0)} s of CPU, then ${mib(after.rss)}`,
  );
  console.log(`heartbeats meanwhile: ${told(delays.splice(0))}`);
  at = performance.now();
  for (let from = 0; from < files; from += PAGE) {
    const made = Array.from({ length: Math.min(PAGE, files - from) }, (_, index) => madeUp(from + index));
    const added = made.map(announced);
    const step = { from, to: from + PAGE, last: from + PAGE >= files, added, removed: [] };
    await ask('POST', `servers/${id}/holdings`, token, { instance: 1, ...step });
  }
  console.log(
    `all told again in ${seconds(at)}, then ${mib((await look()).rss)}; heartbeats meanwhile: ${told(delays)}`,
  );
  for (const timer of timers) clearInterval(timer);
  await agent.destroy();
}

function madeUp(index: number) {
  const sha256 = digest(`content ${index}`);
  const manifest = {
    version: 1 as const,
    size: 500_000 + index,
    chunkSize: 2 ** 20,
    sha256,
    chunks: [sha256],
  };
  const name = `folder-${index % 1_000}/file number ${index}.bin`;
  return { name, size: manifest.size, sha256, manifestSha256: digest(canonicalManifest(manifest)), manifest };
}

function announced({ name, size, sha256, manifestSha256 }: ReturnType<typeof madeUp>) {
  return { name, size, sha256, manifestSha256 };
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function told(delays: number[]): string {
  const sorted = delays.toSorted((one, other) => one - other);
  const at = (part: number): string => `${sorted[Math.floor(part * (sorted.length - 1))]?.toFixed(0)} ms`;
  const lost = sorted.filter((delay) => delay === Infinity).length;
  return `${sorted.length} answered in ${at(0.5)} (half), ${at(0.99)} (99 %), ${at(1)} (all); ${lost} failed`;
}

function seconds(since: number): string {
  return `${((performance.now() - since) / 1_000).toFixed(1)} s`;
}

function mib(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(0)} MiB`;
}
