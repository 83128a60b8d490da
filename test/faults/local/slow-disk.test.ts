import assert from 'node:assert/strict';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { test, type TestContext } from 'node:test';

import type { DownloadReport } from '../../../src/client/types.ts';
import { MIB } from '../../../src/core/chunks.ts';
import { Lab, manifestOf, until } from '../network/lab.ts';

/** Makes every write of this process wait first, as a slow disk does, or for as long as `gate` is closed. */
function slowDisk(t: TestContext, pace: (bytes: number) => Promise<void>): void {
  const { write, writev } = fs;
  const late =
    (real: (...args: unknown[]) => void, size: (data: never) => number) =>
    (...args: unknown[]): void =>
      void pace(size(args[1] as never)).then(() => real(...args));
  fs.write = late(write as never, (bytes: Uint8Array) => bytes.length) as typeof fs.write;
  fs.writev = late(writev as never, (many: readonly Uint8Array[]) =>
    many.reduce((sum, { length }) => sum + length, 0),
  ) as typeof fs.writev;
  syncBuiltinESMExports();
  t.after(() => {
    Object.assign(fs, { write, writev });
    syncBuiltinESMExports();
  });
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
  slowDisk(t, (bytes) => wait((bytes * 1000) / (48 * MIB)));
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
  slowDisk(t, async (bytes) => {
    written += bytes;
    if (written < 4 * MIB || stood) return;
    stood = true;
    await wait(2_500);
  });
  const report = await lab.get({ memory: 8 * MIB, timeout: 1 });
  assert.ok(report.seconds > 2.5);
  nobodyBlamed(lab, report);
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
