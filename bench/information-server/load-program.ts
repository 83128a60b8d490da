/**
 * Sends requests to an information server from a process of its own, and prints one JSON line with what it saw. Its one
 * argument is a `LoadOrder` in JSON.
 */
import { Pool } from 'undici';

import type { LoadOrder, LoadReport, LoadRequest } from './load.ts';

const order = JSON.parse(process.argv[2] ?? '') as LoadOrder;
const pool = new Pool(order.origin, { connections: order.connections, pipelining: 1 });
const latencies: number[] = [];
let failed = 0;
let firstFailure: string | undefined;

const end = performance.now() + order.seconds * 1000;
await (order.rate === undefined
  ? Promise.all(Array.from({ length: order.connections }, busy))
  : steady(order.rate));
const seconds = order.seconds + Math.max(0, performance.now() - end) / 1000;
await pool.close();
latencies.sort((one, other) => one - other);
const at = (part: number): number =>
  latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * part))] ?? Number.NaN;
const report: LoadReport = {
  requests: latencies.length,
  failed,
  ...(firstFailure !== undefined && { firstFailure }),
  perSecond: latencies.length / seconds,
  p50: at(0.5),
  p99: at(0.99),
  most: at(1),
};
process.stdout.write(`${JSON.stringify(report)}\n`);

/** Asks again as soon as it is answered. */
async function busy(): Promise<void> {
  while (performance.now() < end) await send(performance.now());
}

/** Asks at a steady pace whatever the answers do: a slow answer makes those behind it late, and that counts. */
async function steady(rate: number): Promise<void> {
  const began = performance.now();
  const open = new Set<Promise<void>>();
  for (let sent = 0; performance.now() < end;) {
    const due = Math.floor(((performance.now() - began) / 1000) * rate);
    for (; sent < due; sent++) {
      const one = send(began + (sent / rate) * 1000).finally(() => open.delete(one));
      open.add(one);
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Promise.all(open);
}

async function send(from: number): Promise<void> {
  const request = order.requests[Math.floor(Math.random() * order.requests.length)] as LoadRequest;
  const { method, path, body } = request;
  try {
    const answer = await pool.request({
      method,
      path,
      headers: {
        authorization: `Bearer ${order.tokens[Math.floor(Math.random() * order.tokens.length)]}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body }),
    });
    if (answer.statusCode === 200) await answer.body.dump({ limit: 1e9 });
    else throw new Error(`${answer.statusCode} ${await answer.body.text()}`);
    latencies.push(performance.now() - from);
  } catch (error) {
    failed++;
    firstFailure ??= (error as Error).message;
  }
}
