import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import type { DownloadOptions } from '../../../src/client/types.ts';
import { MIB } from '../../../src/core/chunks.ts';
import { program, Running } from '../../integration/program.ts';
import { failure, Lab, manifestOf, sha256, slow, until } from '../network/lab.ts';
import { asRoot, Mounted } from './mounted.ts';

const SIZE = 8 * MIB + 5;
const told: readonly [string, (bytes: Uint8Array) => DownloadOptions][] = [
  ['a manifest', (bytes) => ({ manifest: manifestOf(bytes) })],
  ['a digest', (bytes) => ({ sha256: sha256(bytes) })],
  ['nothing', () => ({})],
];

for (const [what, options] of told) {
  test(
    `a disk that becomes full keeps what is there, and the rest comes when there is room, knowing ${what}`,
    asRoot,
    async () => {
      await using lab = await Lab.of([{}, {}], { size: SIZE });
      await using disk = await Mounted.with('size=5m');
      const output = join(disk.folder, 'file');
      const error = await failure(lab.get({ ...options(lab.bytes), output }));
      assert.equal(error.code, 'HW_DISK_FULL');
      assert.match(error.message, /file\.hw-part: the disk is full; what is there is kept/);
      assert.deepEqual(readdirSync(disk.folder).sort(), ['file.hw-journal', 'file.hw-part']);

      await disk.become('size=32m');
      for (const server of lab.servers) server.forget();
      const { resumedBytes } = await lab.get({ ...options(lab.bytes), output });
      assert.ok(resumedBytes >= 2 * MIB, `${resumedBytes} bytes were kept`);
      const sent = lab.servers.reduce((sum, { counters }) => sum + counters.bytesSent, 0);
      assert.ok(
        sent - (SIZE - resumedBytes) <= 2 * 3 * 16 * 1024 * 2 + 2 + 2 * MIB,
        'only the rest was fetched',
      );
      assert.deepEqual(readdirSync(disk.folder), ['file']);
      assert.ok(readFileSync(output).equals(lab.bytes));
    },
  );
}

test('the program ends with 5 on a full disk, and says that the same command goes on', asRoot, async () => {
  await using lab = await Lab.of([{}, {}], { size: SIZE });
  await using disk = await Mounted.with('size=5m');
  const output = join(disk.folder, 'file');
  const args = ['get', ...lab.urls.map(({ href }) => href), '-o', output, '-q', '--sha256', lab.sha256];
  const { status, stderr } = await new Running(args).ended;
  assert.equal(status, 5);
  assert.match(stderr, /\(HW_DISK_FULL\)/);
  await disk.become('size=32m');
  assert.equal((await new Running(args).ended).status, 0);
  assert.ok(readFileSync(output).equals(lab.bytes));
});

test('standard output into a file on a disk that becomes full ends with 5', asRoot, async () => {
  await using lab = await Lab.of([{}, {}], { size: SIZE });
  await using disk = await Mounted.with('size=5m');
  const urls = lab.urls.map(({ href }) => href).join(' ');
  const line = `"${program}" get ${urls} -o - -q > "${disk.folder}/file"`;
  const { status, stderr } = await new Running(['-c', line], {}, 'bash').ended;
  assert.match(stderr, /the output takes no more: the disk is full \(HW_DISK_FULL\)/);
  assert.equal(status, 5);
  await disk.become('size=32m');
  assert.equal((await new Running(['-c', line], {}, 'bash').ended).status, 0);
  assert.ok(readFileSync(join(disk.folder, 'file')).equals(lab.bytes));
});

test('a disk that is full already is told of before anything is fetched', asRoot, async () => {
  await using lab = await Lab.of([{}], { size: SIZE });
  await using disk = await Mounted.with('size=1m');
  const full = join(disk.folder, 'others');
  assert.throws(() => writeFileSync(full, Buffer.alloc(2 * MIB)));
  const error = await failure(lab.get({ output: join(disk.folder, 'file') }));
  assert.equal(error.code, 'HW_DISK_FULL');
  assert.ok(lab.server(1).counters.bytesSent <= 1);
  assert.deepEqual(readdirSync(disk.folder), ['others']);
});

test('a folder that cannot be written ends it with 5', asRoot, async () => {
  await using lab = await Lab.of([{}], { size: SIZE });
  await using disk = await Mounted.with('size=1m,ro');
  const { status, stderr } = await new Running(['get', lab.server(1).url.href, '-o', `${disk.folder}/`, '-q'])
    .ended;
  assert.equal(status, 5);
  assert.match(stderr, /cannot write .*file\.bin.*: the file system is read-only \(HW_DISK\)/);
});

test('a part file that somebody removes is missed in the end, and the next run begins anew', async () => {
  await using lab = await Lab.of([slow(16 * MIB)], { size: SIZE });
  lab.on(
    (event) => event.event === 'progress' && event.bytes > MIB,
    () => rmSync(`${lab.output}.hw-part`),
  );
  const error = await failure(lab.get({ interval: 0.02, sha256: lab.sha256 }));
  assert.equal(error.code, 'HW_DISK');
  assert.ok(!existsSync(lab.output));
  await lab.get({ sha256: lab.sha256 });
  lab.hasTheFile();
});

test('an output that is there is left alone until force', async () => {
  await using lab = await Lab.of([{}], { size: SIZE });
  writeFileSync(lab.output, 'precious');
  const error = await failure(lab.get());
  assert.equal(error.code, 'HW_OUTPUT_EXISTS');
  assert.ok(lab.server(1).counters.bytesSent <= 1);
  assert.deepEqual(lab.left, ['out.bin']);
  assert.equal(readFileSync(lab.output, 'utf8'), 'precious');
  await lab.get({ force: true });
  lab.hasTheFile();
});

test('an output that appears meanwhile is left alone, and nothing that was fetched is lost', async () => {
  await using lab = await Lab.of([slow(16 * MIB)], { size: SIZE });
  lab.on(
    (event) => event.event === 'progress' && event.bytes > MIB,
    () => writeFileSync(lab.output, 'precious'),
  );
  const error = await failure(lab.get({ interval: 0.02, sha256: lab.sha256 }));
  assert.equal(error.code, 'HW_OUTPUT_EXISTS');
  assert.equal(readFileSync(lab.output, 'utf8'), 'precious');
  rmSync(lab.output);
  lab.server(1).forget();
  await lab.get({ sha256: lab.sha256 });
  assert.ok(lab.server(1).counters.bytesSent <= 1, 'everything was there');
  lab.hasTheFile();
});

test('a folder as output is where the file goes; a folder of the file’s name is not replaced', async () => {
  await using lab = await Lab.of([{}], { size: SIZE });
  const folder = join(lab.folder, 'to');
  mkdirSync(folder);
  await lab.get({ output: folder });
  assert.ok(readFileSync(join(folder, 'file.bin')).equals(lab.bytes));
  rmSync(join(folder, 'file.bin'));
  mkdirSync(join(folder, 'file.bin'));
  for (const force of [false, true]) {
    const error = await failure(lab.get({ output: folder, force }));
    assert.equal(error.code, 'HW_DISK');
    assert.match(error.message, /it is there and is no regular file/);
  }
  const missing = await failure(lab.get({ output: `${join(lab.folder, 'none')}/` }));
  assert.equal(missing.code, 'HW_DISK');
  assert.match(missing.message, /the folder does not exist/);
});

test('a part file of unknown origin is refused with 5; force starts anew', async () => {
  await using lab = await Lab.of([{}], { size: SIZE });
  writeFileSync(`${lab.output}.hw-part`, 'something');
  const args = ['get', lab.server(1).url.href, '-o', lab.output, '-q'];
  const { status, stderr } = await new Running(args).ended;
  assert.equal(status, 5);
  assert.match(stderr, /out\.bin\.hw-part is there, but there is no journal.*--force.*\(HW_PART_FOREIGN\)/);
  assert.equal(readFileSync(`${lab.output}.hw-part`, 'utf8'), 'something');
  assert.equal((await new Running([...args, '--force']).ended).status, 0);
  lab.hasTheFile();
});

test('of several programs that write the same output one has it, and the others are told who', async () => {
  await using lab = await Lab.of([slow(16 * MIB)], { size: SIZE });
  const args = ['get', lab.server(1).url.href, '-o', lab.output, '-q', '--sha256', lab.sha256];
  const runs = Array.from({ length: 4 }, () => new Running(args));
  const ends = await Promise.all(runs.map(({ ended }) => ended));
  const [winner] = ends.flatMap(({ status }, at) => (status === 0 ? [at] : []));
  assert.ok(winner !== undefined);
  for (const [at, { status, stderr }] of ends.entries()) {
    if (at === winner) continue;
    assert.equal(status, 5);
    const busy = new RegExp(`is being written by process ${runs[winner]?.process.pid} on .*HW_OUTPUT_BUSY`);
    assert.match(stderr, busy);
  }
  lab.hasTheFile();
});

test('two downloads of one program to the same output: one has it', async () => {
  await using lab = await Lab.of([slow(16 * MIB)], { size: SIZE });
  const ends = await Promise.allSettled([lab.get(), lab.get()]);
  assert.deepEqual(ends.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
  for (const end of ends) if (end.status === 'rejected') assert.equal(end.reason.code, 'HW_OUTPUT_BUSY');
  lab.hasTheFile();
});

test('after a program was killed its lock holds nobody up', async () => {
  await using lab = await Lab.of([slow(2 * MIB)], { size: SIZE });
  const killed = new Running(['get', lab.server(1).url.href, '-o', lab.output, '-q']);
  await until(() => existsSync(`${lab.output}.hw-lock`), 'the lock is there');
  killed.process.kill('SIGKILL');
  await killed.ended;
  lab.server(1).behave({ does: 'answer' });
  await lab.get();
  lab.hasTheFile();
});
