import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, describe, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';

import { olderNode, program, root, Running } from './program.ts';

const folder = mkdtempSync(join(tmpdir(), 'headwater-start-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const old = olderNode();
const noOld = old === undefined ? 'there is no Node older than 24 on the search path' : false;
const node = process.execPath;

function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env) {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', env, cwd: folder });
  return { status, stdout, stderr };
}

describe('the program starts', () => {
  test('by its path', () => assert.match(run(program, ['--version']).stdout, /^\d+\.\d+\.\d+\n$/));
  test('by a link to it, relative or not', () => {
    symlinkSync(program, join(folder, 'link'));
    symlinkSync('link', join(folder, 'link-to-link'));
    for (const name of ['link', 'link-to-link']) {
      assert.equal(run(join(folder, name), ['--version']).status, 0, name);
      assert.equal(run(`./${name}`, ['--version']).status, 0, name);
    }
  });
  test('on the search path', () => {
    const env = { ...process.env, PATH: `${folder}:${process.env['PATH']}` };
    symlinkSync(program, join(folder, 'headwater'));
    assert.equal(run('sh', ['-c', 'headwater --version'], env).status, 0);
  });
  test('where there is no other Node than its own', () => {
    const bin = join(folder, 'bare');
    mkdirSync(bin);
    for (const name of ['sh', 'readlink']) {
      symlinkSync(run('sh', ['-c', `command -v ${name}`]).stdout.trim(), join(bin, name));
    }
    assert.equal(run(program, ['--version'], { PATH: bin }).status, 0);
  });
  test('on a Node that is new enough', () => assert.equal(run(node, [program, '--version']).status, 0));
  test('on one that is too old, by its own', { skip: noOld }, () => {
    assert.equal(run(old ?? '', [program, '--version']).status, 0);
    assert.equal(run(old ?? '', [program, 'get']).status, 2, 'the status comes through');
  });
});

describe('where nothing is installed it says in one line what to do', () => {
  const bare = join(folder, 'bare-checkout');
  cpSync(join(root, 'bin'), join(bare, 'bin'), { recursive: true });
  cpSync(join(root, 'src'), join(bare, 'src'), { recursive: true });
  const script = join(bare, 'bin', 'headwater');
  const advice = new RegExp(`^headwater: [^\\n]*run "npm ci" in ${bare}[^\\n]*\\n$`);
  test('on a Node that is new enough', () => {
    const { status, stderr } = run(node, [script, '--version']);
    assert.match(stderr, advice);
    assert.equal(status, 69);
  });
  test('on one that is too old', { skip: noOld }, () => {
    const { status, stderr } = run(old ?? '', [script, '--version']);
    assert.match(stderr, /needs Node 24 or newer, and this is \d+/);
    assert.match(stderr, advice);
    assert.equal(status, 69);
  });
  test('without any Node', () => {
    const { status, stderr } = run('/bin/sh', [script, '--version'], { PATH: '/nowhere' });
    assert.match(stderr, /^headwater: needs Node 24 or newer, and there is none; [^\n]*\n$/);
    assert.equal(status, 69);
  });
});

describe('SIGKILL ends the program itself', () => {
  const cases = [
    ['called by its path', false, (args: readonly string[]) => new Running(args)],
    [
      'on a Node that is too old',
      noOld,
      (args: readonly string[]) => new Running([program, ...args], {}, old),
    ],
  ] as const;
  for (const [what, skip, start] of cases) {
    test(what, { skip }, async () => {
      const running = start(['serve', program, '-a', '127.0.0.1', '-p', '0', '--json']);
      const [line] = (await once(createInterface({ input: running.process.stdout }), 'line')) as [string];
      const { servers } = JSON.parse(line) as { servers: { port: number }[] };
      const port = servers[0]?.port ?? 0;
      assert.ok(await answers(port));
      running.process.kill('SIGKILL');
      assert.equal((await running.ended).signal, 'SIGKILL');
      while (await answers(port)) await wait(10);
    });
  }
});

function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  return new Promise((resolve) => {
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
  }).then((answered) => {
    socket.destroy();
    return answered === true;
  });
}
