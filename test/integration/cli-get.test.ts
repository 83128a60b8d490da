import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { promisify } from 'node:util';

import type { DownloadEvent, DownloadReport } from '../../src/client/types.ts';
import { FaultServer, HONEST, madeUpContent } from '../faults/fault-server.ts';
import { type Ended, headwater, olderNode, program, Running } from './program.ts';

const MIB = 1024 * 1024;
const SIZE = 12 * MIB + 345;
const content = madeUpContent(1, SIZE);
const bytes = content.read(0, SIZE);
const sha256 = createHash('sha256').update(bytes).digest('hex');
const servers: FaultServer[] = [];
let folder = '';
let output = '';
let urls: string[] = [];

before(async () => {
  for (let at = 0; at < 2; at++) servers.push(await FaultServer.start({ content, etag: '"one"' }));
  urls = servers.map(({ url }) => url.href);
});
after(() => Promise.all(servers.map((server) => server.close())));
beforeEach(() => {
  for (const server of servers) server.behave(HONEST);
  folder = mkdtempSync(join(tmpdir(), 'headwater-cli-'));
  output = join(folder, 'out.bin');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const get = (...args: string[]): Promise<Ended> => headwater(['get', ...args]);
const right = (): boolean => readFileSync(output).equals(bytes);

/** Both servers together send this much a second. */
function slowly(bytesPerSecond: number): void {
  for (const server of servers) server.behave({ does: 'answer', bytesPerSecond: bytesPerSecond / 2 });
}

/** Waits until the program has said something; without a time of its own: the test's is the limit. */
async function until(said: () => boolean): Promise<void> {
  while (!said()) await wait(10);
}

/** A `get` that has some chunks of the file, and is still at it. */
async function underWay(...args: string[]): Promise<Running> {
  slowly(6 * MIB);
  const running = new Running(['get', ...urls, '-o', output, '-i', '0.1', '--json', ...args]);
  let seen = '';
  running.process.stdout.on('data', (piece: Buffer) => (seen += piece.toString()));
  await until(() =>
    [...seen.matchAll(/"event":"progress","seconds":[\d.]+,"bytes":(\d+)/g)].some(
      (each) => Number(each[1]) > 5 * MIB,
    ),
  );
  return running;
}

describe('a download', () => {
  test('is right, and tells who sent what', async () => {
    const { status, stdout, stderr } = await get(...urls, '-o', output, '--sha256', sha256);
    assert.equal(stderr, '');
    assert.equal(status, 0);
    assert.ok(right());
    assert.match(stdout, /The whole matched its SHA-256\./);
    for (const server of servers) assert.ok(stdout.includes(`127.0.0.1:${server.port}/file.bin`));
  });
  test('by name, hosts and ports', async () => {
    const ports = servers.map(({ port }) => port).join(',');
    const { status } = await get('file.bin', '-a', '127.0.0.1', '-p', ports, '-o', output);
    assert.equal(status, 0);
    assert.ok(right());
  });
  test('goes into the current folder under the name of the source', async () => {
    const { status } = await headwater(['get', ...urls, '-q'], { cwd: folder });
    assert.equal(status, 0);
    assert.deepEqual(readdirSync(folder), ['file.bin']);
  });
  test('says in words when nothing could be verified', async () => {
    const { stdout } = await get(...urls, '-o', output);
    assert.match(stdout, /nothing was verified/i);
  });
  test('--quiet says nothing', async () => {
    const { stdout, stderr } = await get(...urls, '-o', output, '-q');
    assert.equal(stdout + stderr, '');
    assert.ok(right());
  });
  test('--json says it in events, one a line', async () => {
    const { stdout } = await get(...urls, '-o', output, '--json');
    const events = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as DownloadEvent);
    assert.ok(events.some(({ event }) => event === 'start'));
    assert.equal(events.at(-1)?.event, 'done');
  });
  test('--report writes the report', async () => {
    const path = join(folder, 'report.json');
    await get(...urls, '-o', output, '-q', '--report', path, '--sha256', sha256);
    const report = JSON.parse(readFileSync(path, 'utf8')) as DownloadReport;
    assert.equal(report.size, SIZE);
    assert.equal(report.verified, 'sha256');
    assert.equal(report.sources.length, 2);
  });
  test('without a terminal progress is lines, at every interval', async () => {
    slowly(8 * MIB);
    const { stdout } = await get(...urls, '-o', output, '-i', '0.3');
    assert.ok((stdout.match(/^[\d.]+ s: \d+ %, .* of 12 MiB, /gm) ?? []).length >= 3, stdout);
    assert.ok(!stdout.includes('\u001B'), 'no escapes');
  });
  test('sends its headers', async () => {
    for (const server of servers) server.forget();
    await get(...urls, '-o', output, '-q', '--header', 'X-One: 1', '--header', 'Cookie: a=b');
    for (const server of servers) {
      for (const { headers } of server.counters.seen) {
        assert.equal(headers.get('x-one'), '1');
        assert.equal(headers.get('cookie'), 'a=b');
      }
    }
  });
});

describe('to standard output', () => {
  test('come the bytes, in order, and nothing else', async () => {
    const { stdout, stderr } = await promisify(execFile)(program, ['get', ...urls, '-o', '-'], {
      encoding: 'buffer',
      maxBuffer: 64 * MIB,
    });
    assert.ok(stdout.equals(bytes));
    assert.match(stderr.toString(), /standard output: 12 MiB/);
  });
  test('the events of --json are on standard error', async () => {
    const { stdout, stderr } = await promisify(execFile)(program, ['get', ...urls, '-o', '-', '--json'], {
      encoding: 'buffer',
      maxBuffer: 64 * MIB,
    });
    assert.ok(stdout.equals(bytes));
    for (const line of stderr.toString().trimEnd().split('\n')) JSON.parse(line);
  });
  test('a slow reader gets all of it', async () => {
    const line = `"$0" get ${urls.join(' ')} -o - -q | (sleep 0.5; sha256sum)`;
    const { stdout } = await promisify(execFile)('bash', ['-c', line, program]);
    assert.equal(stdout.slice(0, 64), sha256);
  });
  test('a reader that goes away ends it quietly, with 141', async () => {
    const line = `"$0" get ${urls.join(' ')} -o - -q | head -c 1000 | wc -c; echo "\${PIPESTATUS[0]}"`;
    const { stdout, stderr } = await promisify(execFile)('bash', ['-c', line, program]);
    assert.equal(stdout, '1000\n141\n');
    assert.equal(stderr, '');
  });
  test('nobody who reads the progress ends it quietly too, and what came is kept', async () => {
    slowly(4 * MIB);
    const line = `"$0" get ${urls.join(' ')} -o ${output} -i 0.1 | head -n 30 >/dev/null; echo "\${PIPESTATUS[0]}"`;
    const { stdout, stderr } = await promisify(execFile)('bash', ['-c', line, program]);
    assert.equal(stdout, '141\n');
    assert.equal(stderr, '');
    assert.ok(existsSync(`${output}.hw-part`));
  });
});

describe('the exit status tells what went wrong:', () => {
  const cases: readonly [string, number, () => Promise<Ended>, RegExp][] = [
    [
      'not found',
      3,
      () => {
        for (const server of servers) server.behave({ does: 'refuse', status: 404 });
        return get(...urls, '-o', output);
      },
      /\(HW_NOT_FOUND\)\n$/,
    ],
    [
      'a wrong digest',
      4,
      () => get(...urls, '-o', output, '--sha256', '00'.repeat(32)),
      /\(HW_VERIFICATION\)\n$/,
    ],
    ['no such folder', 5, () => get(...urls, '-o', join(folder, 'no', 'such', 'out')), /\(HW_DISK\)\n$/],
    [
      'output exists',
      5,
      () => {
        writeFileSync(output, 'precious');
        return get(...urls, '-o', output);
      },
      /\(HW_OUTPUT_EXISTS\)\n$/,
    ],
    [
      'nobody there',
      6,
      () => get('http://127.0.0.1:9/f', '-o', output, '--timeout', '300ms'),
      /\(HW_[A-Z_]+\)\n$/,
    ],
    [
      'not allowed',
      7,
      () => {
        for (const server of servers) server.behave({ does: 'refuse', status: 403 });
        return get(...urls, '-o', output);
      },
      /\(HW_NOT_ALLOWED\)\n$/,
    ],
  ];
  for (const [what, exit, act, line] of cases) {
    test(`${exit}, ${what}`, async () => {
      const { status, stderr } = await act();
      assert.match(stderr, /^headwater: [^\n]+\n$/);
      assert.match(stderr, line);
      assert.equal(status, exit);
    });
  }
  test('an output that exists is left alone', async () => {
    writeFileSync(output, 'precious');
    await get(...urls, '-o', output);
    assert.equal(readFileSync(output, 'utf8'), 'precious');
    assert.equal((await get(...urls, '-o', output, '--force', '-q')).status, 0);
    assert.ok(right());
  });
});

describe('stopped', () => {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    test(`by ${signal} it keeps what it has, and the command it prints goes on from there`, async () => {
      const running = await underWay('--sha256', sha256);
      running.process.kill(signal);
      const { status, stderr } = await running.ended;
      assert.equal(status, 130);
      const [, kept = '', command = ''] =
        /^headwater: stopped; (\d+ MiB) of 12 MiB are kept \(HW_INTERRUPTED\)\ngo on with: (.*)\n$/.exec(
          stderr,
        ) ?? [];
      assert.match(command, / get http/);
      for (const server of servers) server.behave(HONEST);
      const { stdout } = await promisify(execFile)('sh', ['-c', command], { cwd: process.cwd() });
      const done = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as DownloadReport;
      assert.ok(done.resumedBytes > 0, 'it went on from what was there');
      assert.equal(kept, `${done.resumedBytes / MIB} MiB`);
      assert.ok(right());
    });
  }
  test('twice it ends at once', async () => {
    // A server that never answers keeps the end waiting for nothing; the second signal does not wait at all.
    const running = await underWay();
    running.process.kill('SIGINT');
    running.process.kill('SIGTERM');
    const { status, signal } = await running.ended;
    assert.equal(status, 130);
    assert.equal(signal, undefined);
  });
  test('while nobody takes its output it ends all the same', async () => {
    const child = spawn(program, ['get', ...urls, '-o', '-'], { stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    child.stderr.on('data', (piece: Buffer) => (said += piece.toString()));
    await until(() => said.includes('standard output: '));
    child.kill('SIGINT');
    const [status] = (await once(child, 'exit')) as [number];
    assert.equal(status, 130, said);
    child.stdout.destroy();
  });
  test('through a Node that is too old, one Ctrl-C is one', async (t) => {
    const old = olderNode();
    if (old === undefined) return t.skip('there is no Node older than 24 on the search path');
    slowly(4 * MIB);
    const running = new Running([program, 'get', ...urls, '-o', output, '-i', '0.1'], {}, old);
    let seen = '';
    running.process.stdout.on('data', (piece: Buffer) => (seen += piece.toString()));
    await until(() => / [1-9]\d? %, /.test(seen));
    running.process.kill('SIGINT');
    const { status, stderr } = await running.ended;
    assert.match(stderr, /^headwater: stopped; /);
    assert.equal(status, 130);
  });
});

test('a password in a URL is never printed', async () => {
  const secret = urls.map((url) => url.replace('//', '//me:s3cret@'));
  for (const server of servers) server.behave({ does: 'refuse', status: 401 });
  for (const flags of [[], ['--json']]) {
    const { stdout, stderr, status } = await get(...secret, '-o', output, ...flags);
    assert.equal(status, 7);
    assert.ok(!(stdout + stderr).includes('s3cret'), stdout + stderr);
  }
});
