import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { after, test } from 'node:test';

import { root } from './program.ts';

const folder = mkdtempSync(join(tmpdir(), 'headwater-repo-demo-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const file = join(folder, 'a file.bin');
writeFileSync(file, randomBytes(24 * 1024 * 1024 + 7));

/** `npm run demo -- file`, with a folder of its own for what it writes meanwhile. */
function demo(name: string) {
  const temporary = join(folder, name);
  mkdirSync(temporary);
  const child = spawn(process.execPath, ['scripts/launch.mjs', 'scripts/demo.ts', file], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TMPDIR: temporary },
  });
  return { child, left: () => readdirSync(temporary).filter((each) => each.startsWith('headwater-')) };
}

test('the demo downloads from four servers, loses one, and gets the very file', async () => {
  const { child, left } = demo('whole');
  const [said, errors, [status]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number]>,
  ]);
  assert.equal(errors, '');
  assert.equal(status, 0, said);
  assert.match(said, /Server 3 was killed after \d+\.\d s/);
  assert.match(said, /Every chunk matched its digest/);
  assert.match(said, /They are the same\./);
  for (let id = 1; id <= 4; id++) {
    assert.match(said, new RegExp(`^  ${id}  127\\.0\\.0\\.1:\\d+/\\S+ +[\\d.]+ \\wi?B`, 'm'));
  }
  assert.deepEqual(left(), [], 'nothing is left');
});

test('stopped on the way it leaves nothing behind, and no server', async () => {
  const { child, left } = demo('stopped');
  const errors = text(child.stderr);
  const ports = await portsOf(child.stdout);
  const ended = once(child, 'close') as Promise<[number]>;
  child.kill('SIGTERM');
  assert.equal((await ended)[0], 130, await errors);
  assert.deepEqual(left(), []);
  for (const port of ports) await assert.rejects(fetch(`http://127.0.0.1:${port}/`));
});

/** The ports of the four servers, once the download is under way. */
async function portsOf(stdout: Readable): Promise<string[]> {
  let said = '';
  for await (const piece of stdout.iterator({ destroyOnReturn: false })) {
    said += String(piece);
    if (/ [1-9]\d? %, /.test(said)) break;
  }
  stdout.resume();
  return [...said.matchAll(/^ {2}\d {2}http:\/\/127\.0\.0\.1:(\d+)\//gm)].map((match) => match[1] ?? '');
}
