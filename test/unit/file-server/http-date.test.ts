import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import * as fc from 'fast-check';

import { formatHttpDate, parseHttpDate } from '../../../src/file-server/http-date.ts';

const NOW = Date.UTC(2026, 5, 1);
const MOMENT = Date.UTC(1994, 10, 6, 8, 49, 37);

describe('an HTTP date', () => {
  for (const text of [
    'Sun, 06 Nov 1994 08:49:37 GMT',
    'Sunday, 06-Nov-94 08:49:37 GMT',
    'Sun Nov  6 08:49:37 1994',
  ]) {
    test(`is read from "${text}"`, () => assert.equal(parseHttpDate(text, NOW), MOMENT));
  }

  for (const text of [
    '',
    '0',
    '1994-11-06T08:49:37Z',
    'Sun, 06 Nov 1994 08:49:37',
    'Sun, 06 Nov 1994 08:49:37 CET',
    'Sun, 6 Nov 1994 08:49:37 GMT',
    'Thu, 31 Feb 2022 00:00:00 GMT',
    'Sun, 06 Nom 1994 08:49:37 GMT',
    'sun, 06 nov 1994 08:49:37 gmt',
    'Sun, 06 Nov 1994 08:49:37 GMT ',
  ]) {
    test(`is not "${text}"`, () => assert.equal(parseHttpDate(text, NOW), undefined));
  }

  test('of two digits is in the past when it would be more than 50 years ahead', () => {
    assert.equal(parseHttpDate('Sunday, 06-Nov-76 00:00:00 GMT', NOW), Date.UTC(2076, 10, 6));
    assert.equal(parseHttpDate('Sunday, 06-Nov-77 00:00:00 GMT', NOW), Date.UTC(1977, 10, 6));
  });

  test('that was written is read back to the second', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: Date.UTC(9999, 0, 1) }), (time) => {
        assert.equal(parseHttpDate(formatHttpDate(time), NOW), Math.floor(time / 1000) * 1000);
      }),
    );
  });
});
