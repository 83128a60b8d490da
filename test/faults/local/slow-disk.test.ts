import assert from 'node:assert/strict';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { test, type TestContext } from 'node:test';

import { isLocal } from '../../../src/client/storage/file-system.ts';
import type { DownloadReport } from '../../../src/client/types.ts';
import { MIB } from '../../../src/core/chunks.ts';
import { Lab, manifestOf, until } from '../network/lab.ts';

/** Milliseconds that a write takes, or what it waits for: then none can be made at once. */
type Pace = (bytes: number) => number | Promise<void>;

/** Makes every write of this process wait first, as a slow disk does, or for as long as `gate` is closed. */
function slowDisk(t: TestContext, pace: Pace): void {
  const { write, writev, writeSync, writevSync } = fs;
  const late =
    (real: (...args: unknown[]) => void) =>
    (...args: unknown[]): void => {
      const delay = pace(sizeOf(args[1]));
      void (typeof delay === 'number' ? wait(delay) : delay).then(() => real(...args));
    };
  const lateSync =
    (real: (...args: unknown[]) => unknown) =>
    (...args: unknown[]): unknown => {
      const delay = pace(sizeOf(args[1]));
      if (typeof delay !== 'number') throw new Error('not now');
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, delay);
      return real(...args);
    };
  fs.write = late(write as never) as typeof fs.write;
  fs.writev = late(writev as never) as typeof fs.writev;
  fs.writeSync = lateSync(writeSync as never) as typeof fs.writeSync;
  fs.writevSync = lateSync(writevSync as never) as typeof fs.writevSync;
  syncBuiltinESMExports();
  t.after(() => {
    Object.assign(fs, { write, writev, writeSync, writevSync });
    syncBuiltinESMExports();
  });
}

/** The write is made by the thread that asks for it. */
function isSync(): boolean {
  return new Error('where').stack?.includes('writeNowAt') === true;
}

function sizeOf(data: unknown): number {
  const many = (Array.isArray(data) ? data : [data]) as Uint8Array[];
  return many.reduce((sum, { length }) => sum + length, 0);
}

/** Nobody was blamed for what the disk did. */
function nobodyBlamed(lab: Lab, report: DownloadReport): void {
  for (const { failures, ban } of report.sources) assert.deepEqual([failures, ban], [0, undefined]);
  assert.deepEqual(
    lab.events.filter((event) => event.event === 'source' && event.state !== 'running'),
    [],
  );
}

test('a disk slower than the sources holds sockets up and nothing else: 64 lanes, 8 MiB', async (t) => {
  await using lab = await Lab.of([{}, {}, {}, {}], { size: 48 * MIB + 5 });
  slowDisk(t, (bytes) => (bytes * 1000) / (48 * MIB));
  const options = { memory: 8 * MIB, connections: 16, manifest: manifestOf(lab.bytes) };
  const report = await lab.get(options);
  assert.ok(report.seconds > 0.8, 'the disk was what took the time');
  assert.ok(report.sources.every(({ connections }) => connections <= 17));
  nobodyBlamed(lab, report);
  lab.hasTheFile();
});

test('a disk that stands still for longer than a silent source may is waited for', async (t) => {
  await using lab = await Lab.of([{}, {}], { size: 24 * MIB });
  let written = 0;
  let stood = false;
  slowDisk(t, (bytes) => {
    written += bytes;
    if (written < 4 * MIB || stood) return 0;
    stood = true;
    return 2_500;
  });
  const report = await lab.get({ memory: 8 * MIB, timeout: 1 });
  assert.ok(report.seconds > 2.5);
  nobodyBlamed(lab, report);
  lab.hasTheFile();
});

test('a disk that becomes slow keeps timers waiting once, and is then left to the thread pool', async (t) => {
  if (!(await isLocal(tmpdir()))) return t.skip('NOT RUN: the temporary folder is on no local file system');
  await using lab = await Lab.of([{}, {}], { size: 48 * MIB });
  const slow: { readonly at: number; readonly atOnce: boolean }[] = [];
  slowDisk(t, () => {
    if (slow.length === 0 && !isSync()) return 0;
    slow.push({ at: performance.now(), atOnce: isSync() });
    return 40;
  });
  await lab.get({ memory: 8 * MIB });
  const atOnce = slow.filter((each) => each.atOnce);
  assert.ok(atOnce.length > 0, 'the disk was quick at first');
  assert.ok(slow.length > atOnce.length);
  for (const [i, { at }] of atOnce.entries()) {
    const before = atOnce[i - 1];
    assert.ok(before === undefined || at - before.at >= 40 * 25, 'a second later at the earliest');
  }
  lab.hasTheFile();
});

test('an abort while the disk stands still waits for what is being written, and for no more', async (t) => {
  await using lab = await Lab.of([{}, {}], { size: 24 * MIB });
  const gate = Promise.withResolvers<void>();
  let waiting = 0;
  slowDisk(t, () => {
    waiting++;
    return gate.promise;
  });
  const stop = new AbortController();
  const ended = lab.get({ memory: 8 * MIB, signal: stop.signal });
  await until(() => waiting > 0, 'the disk is asked');
  stop.abort();
  gate.resolve();
  await assert.rejects(ended, { code: 'HW_INTERRUPTED' });
});

function wait(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });
}
