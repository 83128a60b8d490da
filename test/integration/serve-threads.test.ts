import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { text } from 'node:stream/consumers';
import { pathToFileURL } from 'node:url';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';

import { serve } from '../../src/file-server/serve.ts';
import type { FaultEvent, ServeEvent } from '../../src/file-server/serve-types.ts';
import { ask, Files, until } from './serve-lab.ts';

const SERVE = pathToFileURL(join(import.meta.dirname, '../../src/file-server/serve.ts')).href;

/** Serves a file until its digests are known, and says how the request for it was answered. */
const PROGRAM = (path: string) => `
  import { serve } from ${JSON.stringify(SERVE)};
  const told = [];
  const serving = await serve([${JSON.stringify(path)}], {
    ports: [0], address: '127.0.0.1', cache: false,
    onEvent: ({ event, code }) => { if (event === 'fault') told.push(code); },
  });
  await serving.hashed;
  const { status } = await fetch(serving.servers[0].url + 'file');
  console.log(JSON.stringify({ status, told }));
  await serving.close(0);
`;

async function answered(files: Files, args: readonly string[]) {
  const program = spawn(process.execPath, args, { cwd: files.folder, stdio: ['ignore', 'pipe', 'pipe'] });
  const [out, err] = await Promise.all([text(program.stdout), text(program.stderr), once(program, 'close')]);
  assert.match(out, /^\{.*\}\n$/s, err);
  return JSON.parse(out) as { status: number; told: string[] };
}

describe('threads that hash', () => {
  test('start whatever the arguments their process was started with', async () => {
    await using files = await Files.of({ file: 'content' });
    await writeFile(files.path('preload.mjs'), 'globalThis.loaded = true;');
    const code = PROGRAM(files.path('file'));
    for (const args of [
      ['--input-type=module', '-e', code],
      ['--inspect=127.0.0.1:0', '--import', './preload.mjs', '--input-type=module', '--eval', code],
    ]) {
      assert.deepEqual(await answered(files, args), { status: 200, told: [] }, args[0]);
    }
  });

  test('that may not be started make the file an error, and the program lives', async () => {
    await using files = await Files.of({ file: 'content' });
    await writeFile(files.path('serve.mjs'), PROGRAM(files.path('file')));
    const rights = ['--permission', '--allow-fs-read=*', '--allow-fs-write=*'];
    const { status, told } = await answered(files, [...rights, 'serve.mjs']);
    assert.equal(status, 500);
    assert.deepEqual(told, ['HW_INTERNAL']);
  });

  test('that die make the file an error that is told once, and it is served when they live again', async () => {
    await using files = await Files.of({ file: 'content' });
    const faults: FaultEvent[] = [];
    const onEvent = (event: ServeEvent) => void (event.event === 'fault' && faults.push(event));
    const kill = (worker: Worker) => void worker.terminate();
    process.on('worker', kill);
    await using serving = await serve([files.folder], {
      ports: [0],
      address: '127.0.0.1',
      cache: false,
      onEvent,
    });
    const url = serving.servers[0]?.url ?? '';
    await serving.hashed;
    for (let times = 0; times < 2; times++) {
      const { status, headers, body } = await ask(url, '/file');
      assert.equal(status, 500);
      assert.equal(headers['retry-after'], '1');
      const { code, message } = JSON.parse(body.toString()) as { code: string; message: string };
      assert.equal(code, 'HW_INTERNAL');
      assert.match(message, /^file cannot be hashed/);
    }
    assert.equal(faults.length, 1);
    assert.match(faults[0]?.message ?? '', /-thread that hashes files ended with status \d/);
    process.off('worker', kill);
    await until(async () => (await ask(url, '/file')).status === 200);
    assert.equal(faults.length, 1);
  });

  test('that always die are not started for every file', async (t) => {
    const names = Array.from({ length: 50 }, (_, index) => [`f${index}`, 'content']);
    await using files = await Files.of(Object.fromEntries(names) as Record<string, string>);
    let started = 0;
    const kill = (worker: Worker) => {
      started++;
      void worker.terminate();
    };
    process.on('worker', kill);
    t.after(() => process.off('worker', kill));
    await using serving = await serve([files.folder], { ports: [0], address: '127.0.0.1', cache: false });
    await serving.hashed;
    assert.equal((await ask(serving.servers[0]?.url ?? '', '/f7')).status, 500);
    assert.ok(started <= 20, `${started} threads were started`);
  });
});
