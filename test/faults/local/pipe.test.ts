import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

import { MIB } from '../../../src/core/chunks.ts';
import { program, Running } from '../../integration/program.ts';
import { type Content, contentOf, FaultServer } from '../fault-server.ts';
import { Lab, until } from '../network/lab.ts';
import { PeakMemory } from './peak-memory.ts';

const run = promisify(execFile);

/** Nothing but zeros, which take no memory here. */
function zeros(size: number): Content {
  return { size, read: (from, to) => new Uint8Array(to - from), close() {} };
}

test('tar unpacks what comes out of the pipe while it comes', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'hw-tar-'));
  const server = async (bytes: Uint8Array): Promise<FaultServer> =>
    FaultServer.start({ content: contentOf(bytes), name: 'archive.tar' });
  try {
    mkdirSync(join(folder, 'in', 'sub'), { recursive: true });
    mkdirSync(join(folder, 'out'));
    writeFileSync(join(folder, 'in', 'one'), Buffer.alloc(3 * MIB, 'one'));
    writeFileSync(join(folder, 'in', 'sub', 'zwölf'), Buffer.alloc(2 * MIB, 'twelve'));
    await run('tar', ['cf', join(folder, 'archive.tar'), '-C', join(folder, 'in'), '.']);
    const archive = readFileSync(join(folder, 'archive.tar'));
    await using one = await server(archive);
    await using two = await server(archive);
    const line = `set -o pipefail; "$0" get ${one.url.href} ${two.url.href} -o - -q | tar x -C '${folder}/out'`;
    await run('bash', ['-c', line, program]);
    await run('diff', ['-r', join(folder, 'in'), join(folder, 'out')]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a reader that is slower than the sources costs no memory', async (t) => {
  await using one = await FaultServer.start({ content: zeros(512 * MIB) });
  await using two = await FaultServer.start({ content: zeros(512 * MIB) });
  // What is compiled for the first time is held in memory too.
  await new Running(['get', (await smallUrl()).href, '-o', '-', '-q']).ended;
  const client = spawn(program, ['get', one.url.href, two.url.href, '-o', '-', '-q'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(client, 'close');
  const peak = new PeakMemory(client.pid ?? 0);
  let taken = 0;
  let pauses = 0;
  client.stdout.on('data', (piece: Buffer) => {
    taken += piece.length;
    if (taken < (pauses + 1) * 64 * MIB) return;
    pauses++;
    client.stdout.pause();
    setTimeout(() => client.stdout.resume(), 100);
  });
  assert.deepEqual(await ended, [0, null]);
  assert.equal(taken, 512 * MIB);
  t.diagnostic(`${Math.round(peak.bytes / MIB)} MiB resident at the peak`);
  assert.ok(peak.bytes < 170 * MIB, `${Math.round(peak.bytes / MIB)} MiB were resident`);
});

async function smallUrl(): Promise<URL> {
  const server = await FaultServer.start({ content: zeros(MIB) });
  servers.push(server);
  return server.url;
}
const servers: FaultServer[] = [];
test.after(() => Promise.all(servers.map((server) => server.close())));

test('Ctrl-C ends it at once while the reader takes nothing', async () => {
  await using lab = await Lab.of([{}, {}], { size: 32 * MIB });
  const args = ['get', ...lab.urls.map(({ href }) => href), '-o', '-', '-q'];
  const client = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = once(client, 'exit');
  client.stdout.pause();
  const sent = (): number => lab.servers.reduce((sum, { counters }) => sum + counters.bytesSent, 0);
  await until(() => sent() >= 16 * MIB, 'the sources have sent what fits');
  client.kill('SIGINT');
  assert.deepEqual(await ended, [130, null]);
  client.stdout.destroy();
});
