/** Writes the tables that come out of the sources into docs/: `npm run docs`. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { errorTable } from './tables/errors.ts';
import { limitTables } from './tables/limits.ts';
import { metricTables } from './tables/metrics.ts';

const root = join(import.meta.dirname, '..');

fill('docs/errors.md', 'codes', errorTable());
fill('docs/limits.md', 'limits', limitTables(root));
fill('docs/operations.md', 'metrics', metricTables(root));

/** Replaces what stands between two comments of a page. */
function fill(path: string, mark: string, text: string): void {
  const page = readFileSync(join(root, path), 'utf8');
  const begin = `<!-- ${mark}:start -->`;
  const end = `<!-- ${mark}:end -->`;
  const [head, rest] = page.split(begin);
  const tail = rest?.split(end)[1];
  if (head === undefined || tail === undefined) throw new Error(`${path} has no ${begin} … ${end}`);
  writeFileSync(join(root, path), `${head}${begin}\n${text}\n${end}${tail}`);
}
