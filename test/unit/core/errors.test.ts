import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { type ErrorCode, ERRORS, EXIT, HeadwaterError, type Remedy } from '../../../src/core/errors.ts';

const page = readFileSync(new URL('../../../docs/errors.md', import.meta.url), 'utf8');
const codes = Object.keys(ERRORS) as ErrorCode[];

/** Cells of every table row of the page that begins with something in backquotes. */
const rows = page
  .split('\n')
  .filter((line) => line.startsWith('| `'))
  .map((line) =>
    line
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim()),
  );

test('docs/errors.md lists every code as the table has it, in the same order', () => {
  const told = rows.filter(([code]) => code?.startsWith('`HW_'));
  assert.deepEqual(
    told,
    codes.map((code) => {
      const { meaning, remedy, http, exit } = ERRORS[code];
      return [`\`${code}\``, meaning, remedy, String(http), String(exit)];
    }),
  );
});

test('docs/errors.md lists every exit status', () => {
  const told = rows
    .filter(([status]) => /^`\d+`$/.test(status ?? ''))
    .map(([status]) => Number(status?.slice(1, -1)));
  assert.deepEqual(told, Object.values(EXIT));
});

test('every status of the table is one that the program ends with', () => {
  const known = new Set<number>(Object.values(EXIT));
  for (const code of codes) assert.ok(known.has(ERRORS[code].exit), code);
});

test('what a code says fits its place: HTTP statuses are errors, meanings are sentences', () => {
  for (const code of codes) {
    const { meaning, http } = ERRORS[code];
    assert.match(code, /^HW_[A-Z_]+$/);
    assert.match(meaning, /^[A-Z].*\.$/);
    assert.ok(http >= 400 && http < 600, code);
  }
});

test('an error carries its code, what to do, the exit status, its cause and its details', () => {
  const cause = new Error('ENOSPC');
  const error = new HeadwaterError('HW_DISK_FULL', 'no room', { cause, details: { path: '/x' } });
  const remedy: Remedy = error.remedy;
  assert.equal(error.name, 'HeadwaterError');
  assert.equal(error.code, 'HW_DISK_FULL');
  assert.equal(remedy, ERRORS.HW_DISK_FULL.remedy);
  assert.equal(error.exit, EXIT.disk);
  assert.equal(error.cause, cause);
  assert.deepEqual(error.details, { path: '/x' });
  assert.ok(!('cause' in new HeadwaterError('HW_USAGE', 'x')), 'no cause where there is none');
});
