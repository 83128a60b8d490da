import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import {
  download,
  type DownloadEvent,
  type DownloadOptions,
  type DownloadReport,
  HeadwaterError,
  readManifest,
  serve,
  type Serving,
} from '../../src/index.ts';
import { madeUpContent } from '../faults/content.ts';

const MIB = 1024 * 1024;
const SIZE = 12 * MIB + 345;
const bytes = madeUpContent(5, SIZE).read(0, SIZE);

let folder = '';
let file = '';
let serving: Serving;
let urls: string[] = [];

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'headwater-library-'));
  file = join(folder, 'big.iso');
  writeFileSync(file, bytes);
  serving = await serve([file], { ports: [0, 0, 0], address: '127.0.0.1', cache: false });
  await serving.hashed;
  urls = serving.servers.map(({ url }) => new URL('big.iso', url).href);
});
after(async () => {
  await serving.close(0);
  rmSync(folder, { recursive: true });
});

function fresh(name: string): string {
  const output = join(folder, name);
  rmSync(output, { force: true });
  return output;
}

/** What a slow download said; slow enough for some progress. */
async function heard(
  name: string,
  options: DownloadOptions = {},
): Promise<{ events: DownloadEvent[]; report: DownloadReport; output: string }> {
  const output = fresh(name);
  const events: DownloadEvent[] = [];
  const report = await download(urls, {
    output,
    limit: 24 * MIB,
    interval: 0.05,
    onEvent: (event) => events.push(event),
    ...options,
  });
  return { events, report, output };
}

test('what is served is downloaded, verified by the manifest that the servers offer', async () => {
  const output = fresh('served');
  const report = await download(urls, { output });
  assert.equal(report.verified, 'chunks');
  assert.equal(report.output, output);
  assert.equal(report.size, SIZE);
  assert.equal(report.sha256, (await readManifest(file, { cache: false })).sha256);
  assert.ok(readFileSync(output).equals(bytes));
});

test('a manifest that was read can be given', async () => {
  const manifest = await readManifest(file, { cache: false });
  assert.equal(manifest.chunks.length, 13);
  const report = await download(urls, { output: fresh('given'), manifest });
  assert.equal(report.verified, 'chunks');
});

test('events: sources and start, then progress at the interval, done last, and each says what the next builds on', async () => {
  const { events, report } = await heard('events');
  const kinds = events.map(({ event }) => event);
  assert.equal(kinds.filter((each) => each === 'start').length, 1);
  assert.ok(kinds.slice(0, kinds.indexOf('start')).every((each) => each === 'source'));
  assert.equal(kinds.indexOf('done'), kinds.length - 1);
  const [start] = events.filter((each) => each.event === 'start');
  assert.deepEqual(start, {
    event: 'start',
    output: report.output,
    size: SIZE,
    chunkSize: MIB,
    chunks: 13,
    resumedBytes: 0,
    verification: 'chunks',
  });
  assert.deepEqual(events.at(-1), { event: 'done', ...report });
});

test('progress comes at the interval, grows, and its shares add up', async () => {
  const { events, report } = await heard('progress');
  const progress = events.filter((each) => each.event === 'progress');
  // A busy machine may be late with some of them.
  assert.ok(progress.length >= report.seconds / 0.05 / 3 && progress.length <= report.seconds / 0.05 + 1);
  let last = 0;
  for (const { bytes: here, size, sources, seconds, rate } of progress) {
    assert.ok(here >= last && here <= size && seconds > 0 && rate >= 0);
    last = here;
    assert.deepEqual(
      sources.map(({ id }) => id),
      [1, 2, 3],
    );
    const sent = sources.reduce((sum, source) => sum + source.bytes, 0);
    const shares = sources.reduce((sum, { share }) => sum + share, 0);
    if (sent > 0) assert.ok(Math.abs(shares - 1) < 1e-9);
  }
  assert.ok(last > SIZE / 2);
});

test('the report adds up, also where an earlier run had a part', async () => {
  const output = fresh('resumed');
  const stop = new AbortController();
  const onEvent = (event: DownloadEvent): void => {
    if (event.event === 'progress' && event.bytes > SIZE / 3) stop.abort();
  };
  const stopped = await download(urls, {
    output,
    limit: 24 * MIB,
    interval: 0.02,
    signal: stop.signal,
    onEvent,
  }).catch((error: unknown) => error);
  assert.ok(stopped instanceof HeadwaterError && stopped.code === 'HW_INTERRUPTED');
  const report = await download(urls, { output });
  assert.ok(report.resumedBytes > 0);
  assert.equal(stopped.details['keptBytes'], report.resumedBytes);
  const given = report.sources.reduce((sum, source) => sum + source.bytes, 0);
  assert.equal(given, SIZE - report.resumedBytes);
  const shares = report.sources.reduce((sum, { share }) => sum + share, 0);
  assert.ok(Math.abs(shares - 1) < 1e-9);
  for (const { rate, failures, badChunks, ban } of report.sources)
    assert.deepEqual([rate >= 0, failures, badChunks, ban], [true, 0, 0, undefined]);
  assert.ok(report.seconds > 0 && report.rate > 0 && report.tailSeconds <= report.seconds);
  assert.ok(readFileSync(output).equals(bytes));
});

test('the limit is kept over all sources together', async () => {
  const { report } = await heard('limited', { limit: 16 * MIB });
  assert.ok(report.seconds >= (SIZE / (16 * MIB)) * 0.8, `${report.seconds} s`);
});

const wrong: readonly [string, Record<string, unknown>, RegExp][] = [
  ['an option that does not exist', { conections: 4 }, /there is no option "conections"/],
  ['a digest that is none', { sha256: 'abc' }, /sha256 takes 64 hexadecimal digits/],
  ['too many connections', { connections: 65 }, /connections takes .*1 to 64.*65/],
  ['part of a connection', { connections: 1.5 }, /connections takes a whole number/],
  ['a negative limit', { limit: -1 }, /limit takes/],
  ['no time', { timeout: 0 }, /timeout takes/],
  ['no memory', { memory: 1 }, /memory takes/],
  ['an interval of nothing', { interval: 0 }, /interval takes/],
  ['an output that is neither', { output: 7 }, /output takes a path or a writable stream/],
  ['an empty output', { output: '' }, /output takes a path/],
  ['a header that breaks the line', { headers: { 'x-a': 'b\r\nc: d' } }, /line break/],
  ['a header that is no text', { headers: { 'x-a': 1 } }, /header "x-a" takes a text/],
  ['headers that are a list', { headers: ['x-a: b'] }, /headers takes an object/],
  ['a TLS option that does not exist', { tls: { cA: '' } }, /tls has no option "cA"/],
  ['a word for a truth', { force: 'no' }, /force takes true or false/],
  ['a number for a digest', { sha256: 5 }, /sha256 takes/],
  ['a signal that is none', { signal: {} }, /signal takes an AbortSignal/],
  ['a listener that is none', { onEvent: 'log' }, /onEvent takes a function/],
  ['a header of our own', { headers: { Range: 'bytes=0-' } }, /set by the program itself/],
];
for (const [what, options, message] of wrong) {
  test(`${what} is refused, naming what it takes`, async () => {
    await assert.rejects(download(urls, options), (error) => {
      assert.ok(error instanceof HeadwaterError);
      assert.equal(error.code, 'HW_USAGE');
      assert.equal(error.exit, 2);
      assert.match(error.message, message);
      return true;
    });
  });
}

test('sources that are none are refused', async () => {
  const refused = { code: 'HW_USAGE' };
  await assert.rejects(download([]), refused);
  await assert.rejects(download(['big.iso']), refused);
  await assert.rejects(download(['ftp://a.example/big.iso']), refused);
});

test('the same source twice is one', async () => {
  const [url = ''] = urls;
  const report = await download([url, new URL(url), `${url}#part`], { output: fresh('twice') });
  assert.equal(report.sources.length, 1);
});

test('many downloads at once in one process do not get in each other’s way', async () => {
  const outputs = Array.from({ length: 12 }, (_, at) => fresh(`many-${at}`));
  const reports = await Promise.all(outputs.map((output) => download(urls, { output })));
  for (const [at, report] of reports.entries()) {
    assert.equal(report.output, outputs[at]);
    assert.ok(readFileSync(report.output).equals(bytes));
    rmSync(report.output);
  }
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.includes('hw-')),
    [],
  );
});

test('one download after another takes no more memory', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const output = join(folder, 'again');
  const used = async (): Promise<NodeJS.MemoryUsage> => {
    // What finalizers free is free a turn later.
    for (let turn = 0; turn < 3; turn++) {
      collect();
      await new Promise(setImmediate);
    }
    return process.memoryUsage();
  };
  const many = async (times: number): Promise<NodeJS.MemoryUsage> => {
    for (let time = 0; time < times; time++) {
      await download(urls, { output });
      rmSync(output);
    }
    return used();
  };
  const first = await many(3);
  const last = await many(10);
  // Buffers of the servers of this process are among them: they come and go.
  const buffers = last.arrayBuffers - first.arrayBuffers;
  assert.ok(buffers < 8 * MIB, `${buffers} bytes more in buffers after ten downloads`);
  const heap = last.heapUsed - first.heapUsed;
  assert.ok(heap < MIB, `${heap} bytes more in objects after ten downloads`);
});
