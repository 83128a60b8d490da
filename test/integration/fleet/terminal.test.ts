import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';

import { program } from '../program.ts';
import { EMAIL, isRunning, PASSWORD, Place, until as eventually } from './up-process.ts';

const skip = spawnSync('tmux', ['-V']).status === 0 ? false : 'tmux is not installed: no terminal to look at';
let socket = '';
let terminals = 0;

const tmux = (...args: string[]): string =>
  execFileSync('tmux', ['-L', socket, ...args], { encoding: 'utf8' });
const type = (...keys: string[]): string => tmux('send-keys', ...keys);

beforeEach(() => {
  socket = `headwater-fleet-${process.pid}-${++terminals}`;
});
afterEach(() => {
  spawnSync('tmux', ['-L', socket, 'kill-server']);
});

/** A real terminal with bash in it, in the place's folder and with its settings. */
function shell(place: Place, columns = 100, rows = 30): void {
  const settings = Object.entries({
    ...place.env,
    LANG: 'C.UTF-8',
    PS1: '$ ',
    HOME: place.folder,
    HISTFILE: '',
  });
  const env = settings.map(([name, value]) => `${name}='${value ?? ''}'`).join(' ');
  const command = `cd '${place.folder}' && env ${env} PATH="$(dirname '${program}'):$PATH" bash --norc --noprofile`;
  tmux('-f', '/dev/null', '-u', 'new-session', '-d', '-x', String(columns), '-y', String(rows), command);
}

async function until(seen: RegExp | ((text: string) => boolean)): Promise<string> {
  const end = AbortSignal.timeout(60_000);
  for (;;) {
    const text = tmux('capture-pane', '-p').trimEnd();
    if (typeof seen === 'function' ? seen(text) : seen.test(text)) return text;
    if (end.aborted) throw new Error(`it did not come:\n${text}`);
    await wait(50);
  }
}

describe('a fleet at a terminal', { skip, concurrency: 1, timeout: 180_000 }, () => {
  test('up shows a table that changes, and takes commands of one key', async (t) => {
    const place = await Place.make(t);
    shell(place);
    await until(/^\$$/m);
    type(`headwater up --servers 2 --port 0 --data '${place.data}'`, 'Enter');
    const text = await until(/server-2 +b +running/);
    assert.match(text, /A fleet of 2 file servers and 1 information server is up at http/);
    assert.match(text, /First admin: ada@example\.org/);
    assert.ok(!text.includes(PASSWORD));
    type('2', 'Enter');
    await until(/server-2 +b +paused/);
    type('r2', 'Enter');
    await until(/server-2 +b +running/);
    type('C-c');
    const last = await until(/Everything has stopped\.\n\$$/);
    assert.equal(last.match(/server-2 +b/g)?.length, 1, `one table:\n${last}`);
    assert.match(last, /server-2 +b +ended/);
  });

  test('a window that is closed stops everything as well as Ctrl-C does', async (t) => {
    const place = await Place.make(t);
    shell(place);
    await until(/^\$$/m);
    type(`exec headwater up --servers 1 --port 0 --data '${place.data}'`, 'Enter');
    await until(/server-1 +a +running/);
    const state = async (): Promise<{ running: number[] }> =>
      JSON.parse(await readFile(join(place.data, 'up.json'), 'utf8')) as { running: number[] };
    const { running } = await state();
    assert.equal(running.length, 2);
    tmux('kill-server');
    await eventually(async () => (await state()).running.length === 0);
    assert.deepEqual(running.filter(isRunning), []);
    await eventually(() => !existsSync(join(place.data, 'up.lock')));
  });

  test('a password is asked for and not shown; rm asks; bash completes names of the fleet', async (t) => {
    const place = await Place.make(t);
    await place.file('holiday pictures.tar', 1, 100_000);
    await place.file('big.iso', 2, 100_000);
    const up = place.up(['--servers', '1', '--folder', place.files]);
    const { url } = await up.ready();
    shell(place);
    await until(/^\$$/m);
    type(`headwater login ${url} --email ${EMAIL}`, 'Enter');
    await until(/Password of ada@example\.org at .*: *$/);
    type('-l', PASSWORD);
    type('Enter');
    const text = await until(/Logged in to /);
    assert.ok(!text.includes(PASSWORD), text);
    await place.lists(2, 1);

    type('clear; source <(headwater completion bash)', 'Enter');
    await until(/^\$$/m);
    type('headwater wh', 'Tab');
    await until(/headwater whoami $|headwater whoami$/);
    type('C-u', 'headwater info hol', 'Tab');
    await until(/headwater info holiday\\ pictures\.tar/);
    type('Enter');
    await until(/^name +holiday pictures\.tar$/m);
    type('clear; headwater pause ser', 'Tab');
    await until(/headwater pause server-1/);
    type('C-u', 'clear; headwater rm big', 'Tab');
    await until(/headwater rm big\.iso/);
    type('Enter');
    await until(/Delete big\.iso \(97\.7 KiB, on 1 server\)\? \[y\/N\]/);
    type('n', 'Enter');
    await until(/nothing was deleted/);
    type('clear; headwater rm big.iso', 'Enter');
    await until(/\[y\/N\]/);
    type('y', 'Enter');
    await until(/big\.iso is deleted\./);
  });
});
