import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { text } from './deploy/checked-by.ts';
import { program } from './program.ts';

/** Milliseconds that the system's resolver waits for a name server, at least: 2 tries of 5 s (resolv.conf(5)). */
const RESOLVER_PATIENCE = 10_000;

const folder = mkdtempSync(join(tmpdir(), 'headwater-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const alone = spawnSync('unshare', ['--net', '--mount', 'true']).status === 0;

/** What the image, and the units, tell the resolver. */
function resolverOptions(): NodeJS.ProcessEnv {
  const [, options] = /^ENV RES_OPTIONS="([^"]+)"$/m.exec(text('Dockerfile')) ?? [];
  assert.ok(options !== undefined);
  for (const unit of ['headwater-information-server.service', 'headwater-file-server@.service'])
    assert.ok(text(`systemd/${unit}`).includes(`Environment="RES_OPTIONS=${options}"`), unit);
  return { RES_OPTIONS: options };
}

/** A name server that hears every question and answers none. */
const SILENT = `
const { createSocket } = require('node:dgram');
const socket = createSocket('udp4', (message) => process.stdout.write('asked\\n'));
socket.bind(53, '127.0.0.1', () => process.stdout.write('listens\\n'));
`;
const ENTER = `ip link set lo up && mount --bind ${folder}/resolv.conf /etc/resolv.conf && exec "$@"`;

test(
  'a file server ends soon when it is told to, though a name server that does not answer is being asked',
  { skip: alone ? false : 'needs root, for a network of its own' },
  async () => {
    writeFileSync(join(folder, 'resolv.conf'), 'nameserver 127.0.0.1\n');
    mkdirSync(join(folder, 'files'));
    const script = join(folder, 'silent.cjs');
    writeFileSync(script, SILENT);
    const nameServer = spawn(
      'unshare',
      ['--net', '--mount', 'sh', '-c', ENTER, 'sh', process.execPath, script],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    try {
      const heard = createInterface({ input: nameServer.stdout })[Symbol.asyncIterator]();
      assert.equal((await heard.next()).value, 'listens');
      const options = [
        'file-server',
        '--folder',
        join(folder, 'files'),
        '--data',
        join(folder, 'data'),
        '--join',
        'http://nobody.example:7400',
        '--port',
        '0',
        '--address',
        '127.0.0.1',
        '--name',
        'lost',
      ];
      const server = spawn(
        'nsenter',
        ['--net', '--mount', `--target=${nameServer.pid}`, program, ...options],
        {
          stdio: ['ignore', 'ignore', 'inherit'],
          env: { ...process.env, HEADWATER_JOIN_TOKEN: 'x'.repeat(32), ...resolverOptions() },
        },
      );
      const ended = once(server, 'close') as Promise<[number | null]>;
      assert.equal((await heard.next()).value, 'asked');
      server.kill('SIGTERM');
      const late = new AbortController();
      const winner = await Promise.race([
        ended.then(([status]) => status),
        sleep(RESOLVER_PATIENCE - 2_000, 'still there', { signal: late.signal }).catch(() => undefined),
      ]);
      late.abort();
      if (winner === 'still there') server.kill('SIGKILL');
      assert.equal(winner, 0);
    } finally {
      nameServer.kill('SIGKILL');
    }
  },
);
