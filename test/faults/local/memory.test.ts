import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { ChunkLayout, MIB } from '../../../src/core/chunks.ts';
import { MANIFEST_VERSION, type Manifest } from '../../../src/core/manifest.ts';
import { program } from '../../integration/program.ts';
import { sha256 } from '../network/lab.ts';
import { PeakMemory } from './peak-memory.ts';

/** Bytes that may be resident, whatever the file and however many sources. */
const MOST = 170_000_000;
const SIZE = 2048 * MIB;
const SOURCES = 64;

const noNginx =
  spawnSync('nginx', ['-v']).error === undefined ? {} : { skip: 'NOT RUN: there is no nginx here' };

let folder = '';
let ports: number[] = [];

/** Where the file can be written: in memory if there is enough of it. */
function roomy(): string {
  const available =
    Number(/^MemAvailable:\s+(\d+)/m.exec(readFileSync('/proc/meminfo', 'latin1'))?.[1]) * 1024;
  const { bavail, bsize } = existsSync('/dev/shm') ? statfsSync('/dev/shm') : { bavail: 0, bsize: 0 };
  return Math.min(available, bavail * bsize) > 2 * SIZE ? '/dev/shm' : tmpdir();
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const found = servers.map((server) => (server.address() as AddressInfo).port);
  for (const server of servers) server.close();
  return found;
}

function manifest(): Manifest {
  const { chunkSize, count } = new ChunkLayout(SIZE);
  const chunks = Array<string>(count).fill(sha256(new Uint8Array(chunkSize)));
  // Nobody computes the digest of the whole where a manifest was given.
  return { version: MANIFEST_VERSION, size: SIZE, chunkSize, sha256: '0'.repeat(64), chunks };
}

before(async () => {
  if ('skip' in noNginx) return;
  folder = mkdtempSync(join(roomy(), 'hw-memory-'));
  mkdirSync(join(folder, 'www'));
  for (const [name, size] of [
    ['large', SIZE],
    ['small', MIB],
  ] as const) {
    writeFileSync(join(folder, 'www', name), '');
    truncateSync(join(folder, 'www', name), size);
  }
  writeFileSync(join(folder, 'manifest'), JSON.stringify(manifest()));
  ports = await freePorts(SOURCES);
  const listen = ports.map((port) => `listen 127.0.0.1:${port};`).join(' ');
  const owner = process.getuid?.() === 0 ? 'user root;' : '';
  const own = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (each) => `${each}_temp_path ${folder};`,
  );
  writeFileSync(
    join(folder, 'nginx.conf'),
    `${owner} worker_processes 2; pid ${folder}/pid; error_log ${folder}/errors;
     events { worker_connections 2048; }
     http { access_log off; sendfile on; keepalive_requests 100000; ${own.join(' ')}
       server { ${listen} root ${folder}/www; } }`,
  );
  const started = spawnSync('nginx', ['-c', join(folder, 'nginx.conf'), '-p', folder], { encoding: 'utf8' });
  assert.equal(started.status, 0, started.stderr);
});

after(async () => {
  if (folder === '') return;
  spawnSync('nginx', ['-c', join(folder, 'nginx.conf'), '-p', folder, '-s', 'quit']);
  // It removes the file when it has gone.
  while (existsSync(join(folder, 'pid'))) await new Promise((resolve) => setTimeout(resolve, 10));
  rmSync(folder, { recursive: true, force: true });
});

/** Bytes that were resident at the peak. */
async function peakOf(name: string, sources: number, told: readonly string[]): Promise<number> {
  const output = join(folder, 'out');
  const urls = ports.slice(0, sources).map((port) => `http://127.0.0.1:${port}/${name}`);
  const client = spawn(program, ['get', ...urls, '-o', output, '-q', ...told], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const peak = new PeakMemory(client.pid ?? 0);
  assert.deepEqual(await once(client, 'exit'), [0, null]);
  assert.equal(statSync(output).size, statSync(join(folder, 'www', name)).size);
  rmSync(output);
  return peak.bytes;
}

for (const [what, sources, told] of [
  ['3 sources, every chunk verified', 3, (): string[] => ['--manifest', join(folder, 'manifest')]],
  ['64 sources, every chunk verified', SOURCES, (): string[] => ['--manifest', join(folder, 'manifest')]],
] as const) {
  test(`a file of 2 GiB from ${what}, takes less than 170 MB`, noNginx, async (t) => {
    // What is compiled for the first time is held in memory too.
    await peakOf('small', 1, ['--sha256', sha256(new Uint8Array(MIB))]);
    const peak = await peakOf('large', sources, told());
    t.diagnostic(`${Math.round(peak / 1e6)} MB were resident at the peak`);
    assert.ok(peak < MOST, `${peak} bytes were resident`);
  });
}
