import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, open, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

import { MIB } from '../../../src/core/chunks.ts';
import { program, Running } from '../../integration/program.ts';
import { type Content, contentOf, FaultServer } from '../fault-server.ts';
import { PeakMemory } from './peak-memory.ts';

const run = promisify(execFile);

/** Nothing but zeros, which take no memory here. */
function zeros(size: number): Content {
  return { size, read: (from, to) => new Uint8Array(to - from), close() {} };
}

/** Runs the program with standard output on `path`. */
async function getTo(path: string, urls: readonly URL[]): Promise<{ status: unknown; peak: number }> {
  const output = await open(path, 'w');
  try {
    const client = spawn(program, ['get', ...urls.map(({ href }) => href), '-o', '-', '-q'], {
      stdio: ['ignore', output.fd, 'inherit'],
    });
    const ended = once(client, 'close');
    const peak = new PeakMemory(client.pid ?? 0);
    const [status] = await ended;
    return { status, peak: peak.bytes };
  } finally {
    await output.close();
  }
}

/** A block device over a file; undefined where none can be had. */
async function loopDevice(file: string): Promise<string | undefined> {
  try {
    return (await run('losetup', ['--find', '--show', file])).stdout.trim();
  } catch {
    return undefined;
  }
}

test('what goes to a block device is on it', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'hw-device-'));
  const file = join(folder, 'image');
  await writeFile(file, '');
  await truncate(file, 4 * MIB);
  const device = await loopDevice(file);
  try {
    if (device === undefined) return t.skip('NOT RUN: needs root and a loop device');
    const bytes = Buffer.alloc(3 * MIB, 'for the device');
    await using server = await FaultServer.start({ content: contentOf(bytes) });
    assert.equal((await getTo(device, [server.url])).status, 0);
    await run('sync', [device]);
    assert.ok((await readFile(file)).subarray(0, bytes.length).equals(bytes));
  } finally {
    if (device !== undefined) await run('losetup', ['--detach', device]);
    await rm(folder, { recursive: true });
  }
});

test('a device that takes everything at once costs no more memory than a slow reader', async (t) => {
  const size = 2048 * MIB;
  await using one = await FaultServer.start({ content: zeros(size) });
  await using two = await FaultServer.start({ content: zeros(size) });
  // What is compiled for the first time is held in memory too.
  await using small = await FaultServer.start({ content: zeros(MIB) });
  await new Running(['get', small.url.href, '-o', '-', '-q']).ended;
  const { status, peak } = await getTo('/dev/null', [one.url, two.url]);
  assert.equal(status, 0);
  t.diagnostic(`${Math.round(peak / MIB)} MiB resident at the peak`);
  assert.ok(peak < 170 * MIB, `${Math.round(peak / MIB)} MiB were resident`);
});
