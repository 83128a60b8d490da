import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, beforeEach, describe, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';

import { FaultServer, madeUpContent } from '../faults/fault-server.ts';
import { program } from './program.ts';

const MIB = 1024 * 1024;
const SIZE = 8 * MIB;
const BAR = /[━─]/;
let socket = '';
let terminals = 0;
const skip = spawnSync('tmux', ['-V']).status === 0 ? false : 'tmux is not installed: no terminal to look at';

const tmux = (...args: string[]): string =>
  execFileSync('tmux', ['-L', socket, ...args], { encoding: 'utf8' });
const server = await FaultServer.start({ content: madeUpContent(2, SIZE) });
const slowly = (bytesPerSecond: number): void => server.behave({ does: 'answer', bytesPerSecond });
let folder = '';

after(() => server.close());
beforeEach(() => {
  socket = `headwater-${process.pid}-${++terminals}`;
  folder = mkdtempSync(join(tmpdir(), 'headwater-terminal-'));
});
afterEach(() => {
  spawnSync('tmux', ['-L', socket, 'kill-server']);
  rmSync(folder, { recursive: true, force: true });
});

/** A real terminal with `get` in it; the shell prints the exit status when that is over. */
function terminal(columns: number, rows: number, args: readonly string[], env = 'LANG=C.UTF-8'): void {
  const command = `env ${env} '${program}' get ${args.join(' ')} -o '${folder}/out'; echo "status $?"; sleep 60`;
  tmux('-f', '/dev/null', '-u', 'new-session', '-d', '-x', String(columns), '-y', String(rows), command);
}

function screen(): string[] {
  return tmux('capture-pane', '-p').trimEnd().split('\n');
}

async function until(seen: (lines: string[]) => boolean): Promise<string[]> {
  for (;;) {
    const lines = screen();
    if (seen(lines)) return lines;
    await wait(20);
  }
}

const totals = (lines: readonly string[]): string[] => lines.filter((line) => BAR.test(line));

describe('on a terminal', { skip }, () => {
  for (const columns of [60, 80, 120]) {
    test(`of ${columns} columns the picture is redrawn in place`, async () => {
      slowly(2 * MIB);
      terminal(columns, 20, [server.url.href, 'http://127.0.0.1:9/f']);
      const lines = await until((now) => totals(now).some((line) => / [3-9]\d %/.test(line)));
      assert.equal(totals(lines).length, 1, lines.join('\n'));
      const [first = '', second = ''] = lines.slice(-3);
      assert.match(first, /^ {2}1 {2}127\.0\.0\.1:\d+\S* +running +\d+ % +[\d.]+ [KM]iB\/s/);
      assert.match(second, /^ {2}2 {2}127\.0\.0\.1:9\/f +waiting/);
      assert.match(lines.at(-1) ?? '', /^ {2}[━╸─]+ +\d+ % .*MiB\/s +(\d+:\d\d left|waiting)$/);
    });
  }

  test('the report replaces the picture', async () => {
    slowly(16 * MIB);
    terminal(80, 20, [server.url.href]);
    const lines = await until((now) => now.some((line) => line.startsWith('status')));
    assert.deepEqual(totals(lines), []);
    assert.ok(
      lines.some((line) => / 8 MiB in [\d.]+ s/.test(line)),
      lines.join('\n'),
    );
    assert.equal(lines.at(-1), 'status 0');
  });

  test('many sources are limited to the height, and the rest is counted', async () => {
    slowly(MIB);
    const away = Array.from({ length: 63 }, (_, at) => `http://127.0.0.1:${at + 1}/f`);
    terminal(100, 15, [server.url.href, ...away]);
    const lines = await until((now) => totals(now).some((line) => / [1-9]\d? %/.test(line)));
    assert.ok(lines.length <= 15);
    assert.match(lines.at(-2) ?? '', /^ {2}… \d+ more: /);
  });

  test('a window that becomes narrower, wider and lower keeps one picture', async () => {
    slowly(MIB);
    terminal(120, 20, [server.url.href, 'http://127.0.0.1:9/f', 'http://127.0.0.1:7/f']);
    await until((now) => totals(now).some((line) => / [1-9]\d? %/.test(line)));
    for (const [columns, rows] of [
      [62, 20],
      [100, 12],
      [70, 8],
      [80, 20],
    ] as const) {
      tmux('resize-window', '-x', String(columns), '-y', String(rows));
      // The bar tells the width that a picture was drawn for.
      const lines = await until((now) => {
        const last = now.at(-1) ?? '';
        return BAR.test(last) && last.length <= columns && last.length > columns - 30;
      });
      assert.equal(totals(lines).length, 1, lines.join('\n'));
    }
  });

  test('Ctrl-C leaves the last picture and tells how to go on', async () => {
    slowly(2 * MIB);
    terminal(100, 20, [server.url.href]);
    await until((now) => totals(now).some((line) => / [3-9]\d %/.test(line)));
    tmux('send-keys', 'C-c');
    const lines = await until((now) => now.some((line) => line.startsWith('status')));
    assert.equal(totals(lines).length, 1);
    assert.ok(
      lines.some((line) => /^headwater: stopped; \d MiB of 8 MiB are kept/.test(line)),
      lines.join('\n'),
    );
    assert.ok(lines.some((line) => line.startsWith('go on with: ')));
    assert.equal(lines.at(-1), 'status 130');
  });

  test('without block characters and colours where they are not wanted', async () => {
    slowly(2 * MIB);
    terminal(80, 20, [server.url.href], 'LC_ALL=C NO_COLOR=1');
    const [line = ''] = (await until((now) => now.some((each) => / [3-9]\d %/.test(each)))).slice(-1);
    assert.match(line, /^ {2}#+-+ +\d+ %/);
    assert.ok(!tmux('capture-pane', '-p', '-e').includes('\u001B[3'), 'no colours');
  });
});
