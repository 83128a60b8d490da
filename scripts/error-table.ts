/** Writes the table of codes into docs/errors.md from the one in src/core/errors.ts: `npm run docs`. */
import { readFileSync, writeFileSync } from 'node:fs';

import { ERRORS } from '../src/core/errors.ts';

const PAGE = 'docs/errors.md';
const BEGIN = '<!-- codes:start -->';
const END = '<!-- codes:end -->';

const rows = Object.entries(ERRORS).map(
  ([code, { meaning, remedy, http, exit }]) => `| \`${code}\` | ${meaning} | ${remedy} | ${http} | ${exit} |`,
);
const table = ['| code | meaning | remedy | HTTP | exit |', '| --- | --- | --- | --- | --- |', ...rows].join(
  '\n',
);

const page = readFileSync(PAGE, 'utf8');
const [head, rest] = page.split(BEGIN);
const tail = rest?.split(END)[1];
if (head === undefined || tail === undefined) throw new Error(`${PAGE} has no ${BEGIN} … ${END}`);
writeFileSync(PAGE, `${head}${BEGIN}\n${table}\n${END}${tail}`);
