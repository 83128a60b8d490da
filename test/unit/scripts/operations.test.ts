import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { logLines } from '../../../scripts/tables/log-lines.ts';
import { metricTables } from '../../../scripts/tables/metrics.ts';
import { startInformationServer } from '../../../src/information-server/information-server.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const page = read('docs/operations.md');
const tables = metricTables(root);
/** With what a histogram makes of its name, and what Prometheus has of itself. */
const figures = new Set(
  [...tables.matchAll(/^\| `(\w+)` \| (\w+) /gm)].flatMap(([, name = '', kind]) =>
    kind === 'histogram' ? [name, `${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
  ),
);

describe('docs/operations.md', () => {
  test('has every figure as the sources have it (after a change: npm run docs)', () => {
    const told = page.split('<!-- metrics:start -->\n')[1]?.split('\n<!-- metrics:end -->')[0];
    assert.equal(told, tables);
  });

  test('has every figure that a server really shows', async () => {
    const data = mkdtempSync(join(tmpdir(), 'headwater-'));
    try {
      await using server = await startInformationServer({ data, port: 0, address: '127.0.0.1' });
      const shown = await (await fetch(`${server.url}/metrics`)).text();
      const names = [...shown.matchAll(/^# TYPE (\w+) /gm)].map(([, name = '']) => name);
      assert.ok(names.length > 10);
      for (const name of names) assert.ok(figures.has(name), name);
    } finally {
      rmSync(data, { recursive: true, force: true });
    }
  });

  test('explains every line that a server writes into its log', () => {
    const lines = logLines(root);
    assert.ok(lines.length > 15);
    for (const { level, text, file } of lines) {
      const row = page.split('\n').find((line) => line.includes(`| ${text} | `));
      assert.ok(row !== undefined, `${file} writes "${text}"`);
      assert.ok(row.split('|')[1]?.includes(level), `${row} is of the level ${level}`);
    }
  });

  test('says what to do about every alarm', () => {
    const alarms = [...read('deploy/prometheus/headwater.rules.yml').matchAll(/- alert: (\w+)/g)];
    assert.ok(alarms.length > 10);
    for (const [, alarm = ''] of alarms) assert.ok(page.includes(`\`${alarm}\``), alarm);
  });
});

for (const path of ['deploy/prometheus/headwater.rules.yml', 'deploy/grafana/headwater.json']) {
  test(`${path} asks only for figures that there are`, () => {
    const asked = new Set(read(path).match(/\bheadwater_\w+/g));
    assert.ok(asked.size > 5);
    for (const name of asked) assert.ok(figures.has(name), name);
  });
}
