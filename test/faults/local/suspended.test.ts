import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';

import type { DownloadReport } from '../../../src/index.ts';
import { MIB } from '../../../src/core/chunks.ts';
import { Running } from '../../integration/program.ts';
import { Lab, slow, until } from '../network/lab.ts';

test('a program that is stopped for a while, as when the machine sleeps, blames nobody and goes on', async () => {
  await using lab = await Lab.of([slow(8 * MIB), slow(8 * MIB)], { size: 12 * MIB });
  const report = join(lab.folder, 'report');
  const urls = lab.urls.map(({ href }) => href);
  const client = new Running(['get', ...urls, '-o', lab.output, '-q', '--report', report, '--timeout', '1s']);
  const sent = (): number => lab.servers.reduce((sum, { counters }) => sum + counters.bytesSent, 0);
  await until(() => sent() > 3 * MIB, 'it is under way');
  client.process.kill('SIGSTOP');
  // Longer than a silent source is given, and than --timeout allows.
  await wait(3_500);
  client.process.kill('SIGCONT');
  const { status, stderr } = await client.ended;
  assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
  const { sources } = JSON.parse(readFileSync(report, 'utf8')) as DownloadReport;
  assert.deepEqual(
    sources.map(({ failures }) => failures),
    [0, 0],
  );
  assert.ok(readFileSync(lab.output).equals(lab.bytes));
});
