import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { limitTables } from '../../../scripts/tables/limits.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));

test('docs/limits.md has every limit as the sources have it (after a change: npm run docs)', () => {
  const page = readFileSync(join(root, 'docs/limits.md'), 'utf8');
  const told = page.split('<!-- limits:start -->\n')[1]?.split('\n<!-- limits:end -->')[0];
  const right = limitTables(root).split('\n');
  const wrong = told?.split('\n').find((line, at) => line !== right[at]);
  assert.ok(
    told === right.join('\n'),
    `npm run docs writes it anew; not up to date: ${wrong ?? 'the last lines'}`,
  );
});

test('a limit is a number with a name and a reason', () => {
  const folder = mkdtempSync(join(tmpdir(), 'headwater-'));
  try {
    mkdirSync(join(folder, 'src/core'), { recursive: true });
    writeFileSync(
      join(folder, 'src/core/x.ts'),
      `
/** Why a | b. */
export const FIRST_X = 2 * 1024;
const MOST_X = 0.5;
const OTHER = 1;

const WITHOUT_REASON = 3;
/**
 * On more
 * lines.
 */
const THIRD = 4_000;
/** Of something else. */
function f() {}
const FOURTH = 5;
/** No number. */
const TEXT = 'x';
`,
    );
    const rows = limitTables(folder)
      .split('\n')
      .filter((line) => line.startsWith('| `'));
    assert.deepEqual(rows, [
      '| `FIRST_X` | 2,048 (2 * 1024) | Why a \\| b. | x.ts |',
      '| `MOST_X` | 0.5 | Why a \\| b. | x.ts |',
      '| `THIRD` | 4,000 | On more lines. | x.ts |',
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
