import assert from 'node:assert/strict';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import { MIB } from '../../src/core/chunks.ts';
import { codeOf, FileServerProgram, StandInFleet } from './file-server-lab.ts';
import { Files, rawConnection, readToEnd, until } from './serve-lab.ts';

const MEMORY = '/dev/shm';
const TMPFS_MAGIC = 0x01021994;
/**
 * Changes a byte of a file without a trace in its times, as a bad disk does: a page that is mapped and was written to before
 * is not asked about again by a file system in memory.
 */
const FLIP = `
import mmap, sys
with open(sys.argv[1], 'r+b') as file:
    memory = mmap.mmap(file.fileno(), 0)
at = [int(each) for each in sys.argv[2].split(',')]
for each in at: memory[each] = memory[each]
print('mapped', flush=True)
sys.stdin.readline()
for each in at: memory[each] ^= 1
print('flipped', flush=True)
sys.stdin.readline()
`;

async function whyNoFlip(): Promise<string | false> {
  if (spawnSync('python3', ['--version']).status !== 0)
    return 'flipping a byte without a trace takes python3';
  const isMemory = (await statfs(MEMORY).catch(() => undefined))?.type === TMPFS_MAGIC;
  return isMemory ? false : `flipping a byte without a trace takes a file system in memory at ${MEMORY}`;
}

class Flipper implements AsyncDisposable {
  readonly #process: ChildProcess;

  constructor(path: string, offsets: readonly number[]) {
    this.#process = spawn('python3', ['-c', FLIP, path, offsets.join(',')], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
  }

  async ready(): Promise<void> {
    if (this.#process.stdout !== null) await once(this.#process.stdout, 'data');
  }

  async flip(): Promise<void> {
    this.#process.stdin?.write('\n');
    await this.ready();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill();
    if (this.#process.exitCode === null) await once(this.#process, 'exit');
  }
}

const flipping = await whyNoFlip();

describe('a chunk that is reported', () => {
  test(
    'and was changed on the disk without a trace is held no more, and the fleet is told',
    { skip: flipping },
    async () => {
      const folder = await mkdtemp(join(MEMORY, 'headwater-flip-'));
      try {
        const path = join(folder, 'big.bin');
        const content = randomBytes(6 * MIB + 5);
        await writeFile(path, content);
        await using flipper = new Flipper(path, [2 * MIB + 99, 5 * MIB]);
        await flipper.ready();
        await using fleet = await StandInFleet.start();
        await using server = await FileServerProgram.start([fleet.url], folder);
        await until(() => fleet.names.length === 1);
        const before = await stat(path, { bigint: true });
        await flipper.flip();
        const after = await stat(path, { bigint: true });
        assert.deepEqual([after.mtimeNs, after.ctimeNs], [before.mtimeNs, before.ctimeNs]);
        assert.ok(!(await readFile(path)).equals(content));

        const grant = fleet.grant('big.bin');
        const good = await server.report(grant.path, grant.token, { chunk: 1 });
        assert.equal(good.body.toString().trim(), '{"verdict":"good"}');
        const bad = await server.report(grant.path, grant.token, { chunk: 2 });
        assert.equal(bad.body.toString().trim(), '{"verdict":"bad"}');
        // The rest of the file was looked at too.
        await until(() => JSON.stringify(fleet.holding('big.bin').has) === '[[0,1],[3,4],[6,6]]');
        assert.equal(fleet.names.length, 1);
        const event = await server.event('bad-chunk');
        assert.deepEqual([event['name'], event['chunk'], event['path']], ['big.bin', 2, path]);

        const here = await server.ask(grant.path, grant.token, { range: `bytes=0-${2 * MIB - 1}` });
        assert.ok(here.body.equals(content.subarray(0, 2 * MIB)));
        for (const range of [`bytes=${2 * MIB}-${2 * MIB}`, `bytes=0-${3 * MIB}`, `bytes=${5 * MIB + 9}-`]) {
          const refused = await server.ask(grant.path, grant.token, { range });
          assert.equal(refused.status, 404, range);
          assert.equal(codeOf(refused), 'HW_NOT_HERE');
        }
        assert.equal(codeOf(await server.ask(grant.path, grant.token)), 'HW_NOT_HERE');

        await server.kill();
        await using again = await FileServerProgram.start([fleet.url], folder, { data: server.data });
        const still = await again.ask(grant.path, grant.token, { range: `bytes=${2 * MIB}-${2 * MIB}` });
        assert.equal(codeOf(still), 'HW_NOT_HERE');

        // Somebody puts the right bytes back.
        await writeFile(path, content);
        await until(() => fleet.names.length === 1 && fleet.holding('big.bin').has === 'all');
        const whole = await again.ask(grant.path, grant.token);
        assert.ok(whole.body.equals(content));
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },
  );

  test('takes the grant that it was downloaded with, and a chunk that is there', async () => {
    await using fleet = await StandInFleet.start();
    await using files = await Files.of({ 'a.bin': randomBytes(3 * MIB) });
    await using server = await FileServerProgram.start([fleet.url], files.folder);
    await until(() => fleet.names.length === 1);
    const grant = fleet.grant('a.bin');
    const other = fleet.grant('a.bin');
    assert.equal(codeOf(await server.report(grant.path, 'nothing', { chunk: 0 })), 'HW_TOKEN_INVALID');
    assert.equal(codeOf(await server.report(grant.path, other.token, { chunk: 0 })), 'HW_GRANT_OTHER_FILE');
    for (const body of [
      {},
      { chunk: -1 },
      { chunk: 'x' },
      { chunk: 1.5 },
      { chunk: 0, more: 1 },
      [],
      'x',
      { chunk: 3 },
    ]) {
      const answer = await server.report(grant.path, grant.token, body);
      assert.equal(answer.status, 400, JSON.stringify(body));
      assert.equal(codeOf(answer), 'HW_USAGE');
    }
    const long = await server.report(grant.path, grant.token, { chunk: 0, more: 'x'.repeat(5_000) });
    assert.equal(codeOf(long), 'HW_TOO_LARGE');
    const socket = await rawConnection(server.url);
    const said = readToEnd(socket);
    socket.write(
      `POST ${grant.path}/reports HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${grant.token}\r\nContent-Length: 9000\r\n\r\n`,
    );
    for (let part = 0; part < 6; part++) {
      socket.write('x'.repeat(1_500));
      await new Promise((resolve) => {
        setTimeout(resolve, 20);
      });
    }
    assert.match(await said, /^HTTP\/1.1 413 .*HW_TOO_LARGE/s);
    const get = await server.ask(`${grant.path}/reports`, grant.token);
    assert.equal(get.status, 405);
    assert.equal(get.headers['allow'], 'POST');
  });

  test('too often is refused for a while, for that grant alone', async () => {
    await using fleet = await StandInFleet.start();
    await using files = await Files.of({ 'a.bin': randomBytes(20 * MIB) });
    await using server = await FileServerProgram.start([fleet.url], files.folder);
    await until(() => fleet.names.length === 1);
    const grant = fleet.grant('a.bin');
    const chunks = Array.from({ length: 14 }, (_, chunk) => chunk);
    const answers = await Promise.all(
      chunks.map((chunk) => server.report(grant.path, grant.token, { chunk })),
    );
    const counted = (wanted: number) => answers.filter(({ status }) => status === wanted).length;
    assert.deepEqual([counted(200), counted(429)], [10, 4]);
    const other = fleet.grant('a.bin');
    assert.equal((await server.report(other.path, other.token, { chunk: 19 })).status, 200);
  });
});
