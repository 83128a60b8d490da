import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import {
  evaluateConditions,
  lastModifiedOf,
  rangeApplies,
  type ConditionFields,
} from '../../../src/file-server/conditions.ts';
import { formatHttpDate } from '../../../src/file-server/http-date.ts';

const MODIFIED = Date.UTC(2026, 0, 2, 3, 4, 5);
const NOW = MODIFIED + 3_600_000;
const IS = { etag: '"abc"', lastModified: MODIFIED };
const AT = formatHttpDate(MODIFIED);
const BEFORE = formatHttpDate(MODIFIED - 1000);
const AFTER = formatHttpDate(MODIFIED + 1000);

describe('conditions', () => {
  const cases: [ConditionFields, 'go' | 304 | 412][] = [
    [{}, 'go'],
    [{ 'if-none-match': '"abc"' }, 304],
    [{ 'if-none-match': 'W/"abc"' }, 304],
    [{ 'if-none-match': '"x", "abc"' }, 304],
    [{ 'if-none-match': '"x","y,z", W/"abc" ' }, 304],
    [{ 'if-none-match': '*' }, 304],
    [{ 'if-none-match': '"x"' }, 'go'],
    [{ 'if-none-match': 'abc' }, 'go'],
    [{ 'if-none-match': '"x,"abc"' }, 'go'],
    [{ 'if-modified-since': AT }, 304],
    [{ 'if-modified-since': AFTER }, 304],
    [{ 'if-modified-since': BEFORE }, 'go'],
    [{ 'if-modified-since': 'yesterday' }, 'go'],
    [{ 'if-none-match': '"x"', 'if-modified-since': AFTER }, 'go'],
    [{ 'if-match': '"abc"' }, 'go'],
    [{ 'if-match': '*' }, 'go'],
    [{ 'if-match': 'W/"abc"' }, 412],
    [{ 'if-match': '"x"' }, 412],
    [{ 'if-unmodified-since': AT }, 'go'],
    [{ 'if-unmodified-since': BEFORE }, 412],
    [{ 'if-unmodified-since': 'never' }, 'go'],
    [{ 'if-match': '"abc"', 'if-unmodified-since': BEFORE }, 'go'],
    [{ 'if-match': '"x"', 'if-none-match': '"abc"' }, 412],
    [{ 'if-match': '"abc"', 'if-none-match': '"abc"' }, 304],
  ];
  for (const [fields, outcome] of cases) {
    test(`${JSON.stringify(fields)} give ${outcome}`, () =>
      assert.equal(evaluateConditions(fields, IS, NOW), outcome));
  }

  test('by date are ignored where no Last-Modified is sent', () => {
    const is = { etag: '"abc"', lastModified: undefined };
    assert.equal(evaluateConditions({ 'if-modified-since': AFTER }, is, NOW), 'go');
    assert.equal(evaluateConditions({ 'if-unmodified-since': BEFORE }, is, NOW), 'go');
    assert.equal(rangeApplies({ 'if-range': AT }, is, NOW), false);
  });
});

describe('a range', () => {
  for (const [field, applies] of [
    [undefined, true],
    ['"abc"', true],
    ['W/"abc"', false],
    ['"x"', false],
    ['abc', false],
    [AT, true],
    [BEFORE, false],
    [AFTER, false],
    ['"abc", "x"', false],
  ] as const) {
    test(`with If-Range ${field} ${applies ? 'applies' : 'does not apply'}`, () =>
      assert.equal(rangeApplies({ 'if-range': field }, IS, NOW), applies));
  }
});

describe('Last-Modified', () => {
  test('is the second the file was changed in', () => {
    assert.equal(lastModifiedOf(MODIFIED + 999.9, NOW), MODIFIED);
  });

  test('is not sent while the file could change again within that second', () => {
    assert.equal(lastModifiedOf(MODIFIED, MODIFIED + 999), undefined);
    assert.equal(lastModifiedOf(MODIFIED, MODIFIED + 2000), MODIFIED);
  });

  test('is never later than the answer', () => {
    assert.equal(lastModifiedOf(NOW + 60_000, NOW), undefined);
  });
});
