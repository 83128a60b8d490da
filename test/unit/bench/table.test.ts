import assert from 'node:assert/strict';
import { test } from 'node:test';

import { filled, fullSection, readmeSection } from '../../../bench/pages.ts';
import { barRows, contestantRows, markdownTable, report, textTable } from '../../../bench/table.ts';
import { bar, benchResult } from './figures.ts';

test('columns stand under each other', () => {
  const table = textTable(
    ['name', 'n'],
    [
      ['a', '1'],
      ['longer', '22'],
    ],
    new Set([1]),
  );
  assert.deepEqual(table.split('\n'), ['name     n', '------  --', 'a        1', 'longer  22']);
});

test('a Markdown table keeps its columns when a cell holds a bar', () => {
  assert.equal(
    markdownTable(['a', 'b'], [['x|y', '1']], new Set([1])),
    '| a | b |\n| --- | ---: |\n| x\\|y | 1 |',
  );
});

test('a bar says what was measured, what was to be reached, and whether it was', () => {
  const rows = barRows([
    bar(),
    bar({
      demand: 'most',
      unit: 'MB',
      bound: 170,
      value: 181.6,
      reached: false,
      spread: { low: 180, high: 182 },
    }),
    bar({ aside: true }),
    bar({ value: Number.NaN, reached: false, spread: { low: Number.NaN, high: Number.NaN } }),
  ]);
  assert.deepEqual(
    rows.map((row) => [row[1], row[2], row[4], row[5]]),
    [
      ['1.23 ×', '1.10–1.30', '≥ 1.00 ×', 'reached'],
      ['182 MB', '180–182', '≤ 170 MB', 'missed'],
      ['1.23 ×', '1.10–1.30', '', 'for comparison'],
      ['– ×', '–––', '≥ 1.00 ×', 'missed'],
    ],
  );
});

test('failed runs are told and not averaged', () => {
  const [scene] = benchResult().scenes;
  assert.ok(scene);
  const rows = contestantRows(scene);
  assert.deepEqual(rows[0]?.slice(1, 4), ['1.25', '1.00–1.50', '0.80']);
  assert.deepEqual([rows[2]?.[1], rows[2]?.[6]], ['–', '1, 1 failed']);
});

test('rows that were left out are told with the reason', () => {
  const result = { ...benchResult(), leftOut: [{ row: 'hosts', why: 'needs root' }] as const };
  assert.match(report(result), /left out: hosts \(needs root\)/);
  assert.match(fullSection(result), /without the row "hosts" \(needs root\)/);
});

test('a page gets its section between the marks and keeps the rest', () => {
  const page = 'before\n<!-- bench:start -->\nold\n<!-- bench:end -->\nafter\n';
  const once = filled(page, 'new\n');
  assert.equal(once, 'before\n<!-- bench:start -->\n\nnew\n\n<!-- bench:end -->\nafter\n');
  assert.equal(filled(once ?? '', 'new'), once);
});

test('a page without marks is left alone', () => {
  assert.equal(filled('before\n<!-- bench:start -->\n', 'new'), undefined);
});

test('the section of the README names the machine, not the person', () => {
  const section = readmeSection(benchResult());
  assert.match(section, /2 cores \(a processor\), 8 GiB, Linux 6\.1\.0/);
  assert.match(section, /Node 24\.0\.0, curl 7\.88\.1/);
  assert.match(section, /2026-01-02, commit abc/);
});
