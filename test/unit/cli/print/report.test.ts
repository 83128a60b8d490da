import assert from 'node:assert/strict';
import { test } from 'node:test';

import { reportText } from '../../../../src/cli/print/report.ts';
import { done } from './events.ts';

const plain = (_: string, text: string): string => text;
const [one] = done().sources;
assert.ok(one !== undefined);

test('tells what came, how it was verified, who sent what, and what it cost', () => {
  const text = reportText(done(), 100, plain);
  assert.match(
    text,
    /^big\.iso: 100 MiB in 10 s, 10\.0 MiB\/s on average\.\nEvery chunk matched its digest\.\n/,
  );
  assert.match(text, /SHA-256 (ab){32}\n/);
  assert.match(text, /1 {2}mirror1\.example\.org\/pub\/big\.iso +100 MiB +100 % +10\.0 MiB\/s +2 +0\n/);
  assert.match(text, /0 B came in vain; the last 0\.1 s had a source with nothing left to do\.$/);
});

test('claims nothing when nothing was verified', () => {
  assert.ok(!reportText(done({ verified: 'none' }), 100, plain).includes('matched'));
});

test('names who was dropped, and why', () => {
  const ban = { code: 'HW_BAD_CHUNK', message: 'http://b/f sent\nwrong bytes' } as const;
  const text = reportText(
    done({ sources: [one, { ...one, id: 2, bytes: 0, badChunks: 2, ban }] }),
    100,
    plain,
  );
  assert.match(text, /source 2 was dropped: http:\/\/b\/f sent wrong bytes \(2 wrong chunks\)/);
});

test('tells what an earlier run had left', () => {
  assert.match(
    reportText(done({ resumedBytes: 40 * 1024 ** 2 }), 100, plain),
    /40 MiB were here before, 60 MiB came now;/,
  );
});

test('the table fits the terminal', () => {
  const sources = Array.from({ length: 12 }, (_, at) => ({
    ...one,
    id: at + 1,
    failures: 1000,
    connections: 999,
  }));
  for (const columns of [60, 80, 120]) {
    const table = reportText(done({ sources }), columns, plain).split('\n').slice(4, 17);
    for (const line of table) assert.ok(line.length < columns, `${columns}: ${line.length} ${line}`);
  }
});
