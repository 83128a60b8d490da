// Downloads and aborts at random moments, then tells what is left open: abort-program.ts FOLDER SIZE SHA256 URL...
import { readdirSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

import { download, HeadwaterError, type DownloadEvent, type DownloadOptions } from '../../../src/index.ts';

const [folder = '', sizeText = '', sha256 = '', ...urls] = process.argv.slice(2);
const size = Number(sizeText);
const output = join(folder, 'out.bin');

interface Moment {
  readonly name: string;
  /** Aborts at once, after milliseconds, or on an event. */
  readonly when: number | ((event: DownloadEvent) => boolean);
}

const beyond =
  (part: number) =>
  (event: DownloadEvent): boolean =>
    event.event === 'progress' && event.bytes >= size * part;

const MOMENTS: readonly Moment[] = [
  { name: 'before it was called', when: -1 },
  { name: 'at once', when: 0 },
  ...Array.from({ length: 4 }, () => ({ name: 'before the first answer', when: Math.random() * 15 })),
  { name: 'at the first answer', when: ({ event }) => event === 'source' },
  { name: 'at the start', when: ({ event }) => event === 'start' },
  ...Array.from({ length: 6 }, () => ({ name: 'in the middle', when: beyond(Math.random()) })),
  { name: 'at the end', when: beyond(1) },
];

/** How it ended. */
async function abortedAt(when: Moment['when'], options: DownloadOptions): Promise<string> {
  const stop = new AbortController();
  if (when === -1) stop.abort();
  const ended = download(urls, {
    ...options,
    signal: stop.signal,
    interval: 0.02,
    onEvent: (event) => {
      if (typeof when === 'function' && when(event)) stop.abort();
    },
  });
  if (typeof when === 'number' && when >= 0) {
    if (when > 0) await wait(when);
    stop.abort();
  }
  try {
    await ended;
    return 'done';
  } catch (error) {
    return error instanceof HeadwaterError ? error.code : String(error);
  }
}

/** Files, sockets and threads of this process. */
function held(): { files: string[]; threads: number } {
  const files = readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      return [];
    }
  });
  return { files: files.sort(), threads: readdirSync('/proc/self/task').length };
}

// What is made once and kept: threads of the pool, the list of authorities.
await download(urls, { output });
rmSync(output);
const before = held();
const ends: { name: string; end: string; left: string[] }[] = [];
for (const told of [{ sha256 }, {}]) {
  for (const { name, when } of MOMENTS) {
    const end = await abortedAt(when, { output, ...told });
    ends.push({ name, end, left: readdirSync(folder).sort() });
    if (end === 'done') rmSync(output);
  }
}
// A closed socket is gone a turn later.
await wait(50);
const now = held();
process.stdout.write(JSON.stringify({ ends, before, now, active: process.getActiveResourcesInfo() }));
