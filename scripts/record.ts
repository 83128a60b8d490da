/**
 * Makes docs/download.svg: the demo in a real terminal (tmux), as it was seen.
 *
 *   node_modules/.bin/node scripts/record.ts
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

import { type Frame, recordingSvg } from './recording/svg.ts';

const COLUMNS = 96;
const ROWS = 26;
/** Milliseconds between two looks. */
const EVERY = 250;
/** Seconds until the picture that stands still where nothing moves: one server is gone, the others go on. */
const STILL = 5;
/** Milliseconds; a demo that takes longer is broken. */
const MOST_TIME = 60_000;

const root = join(import.meta.dirname, '..');
const socket = `headwater-record-${process.pid}`;
const tmux = (...args: string[]): string =>
  execFileSync('tmux', ['-L', socket, '-f', '/dev/null', '-u', ...args], { cwd: root, encoding: 'utf8' });

const shell = "PS1='$ ' exec bash --norc --noprofile";
tmux(
  'new-session',
  '-d',
  '-x',
  String(COLUMNS),
  '-y',
  String(ROWS),
  `env LANG=C.UTF-8 TERM=xterm-256color sh -c "${shell}"`,
);
try {
  await wait(500);
  tmux('send-keys', 'npm run -s demo', 'Enter');
  const frames = await record();
  const path = join(root, 'docs', 'download.svg');
  const svg = recordingSvg(frames, COLUMNS, ROWS, STILL);
  writeFileSync(path, svg);
  console.log(`${path}: ${frames.length} frames, ${Math.ceil(svg.length / 1024)} KiB`);
} finally {
  tmux('kill-server');
}

async function record(): Promise<Frame[]> {
  const frames: Frame[] = [];
  const began = performance.now();
  for (;;) {
    const now = performance.now() - began;
    const lines = tmux('capture-pane', '-e', '-p').split('\n');
    if (lines.join() !== frames.at(-1)?.lines.join()) frames.push({ at: now / 1000, lines });
    // The prompt is back, below the last line of the demo.
    if (lines.some((line) => line.startsWith('Removed '))) return frames;
    if (now > MOST_TIME) throw new Error('the demo has not ended');
    await wait(EVERY);
  }
}
