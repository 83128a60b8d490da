import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import * as fc from 'fast-check';

import { formatContentRange, formatRange, parseContentRange, parseRange } from '../../../src/core/ranges.ts';

const SIZE = 100;

describe('a Range header', () => {
  for (const [header, range] of [
    ['bytes=0-0', { start: 0, end: 1 }],
    ['bytes=10-19', { start: 10, end: 20 }],
    ['bytes=99-', { start: 99, end: 100 }],
    ['bytes=90-1000', { start: 90, end: 100 }],
    ['bytes=-1', { start: 99, end: 100 }],
    ['bytes=-1000', { start: 0, end: 100 }],
    ['BYTES=0-9', { start: 0, end: 10 }],
    ['bytes= 0-9 ', { start: 0, end: 10 }],
  ] as const) {
    test(`${header} of 100 bytes`, () => assert.deepEqual(parseRange(header, SIZE), range));
  }
  for (const header of ['bytes=100-', 'bytes=100-200', 'bytes=-0', 'bytes=99999999999999999999-']) {
    test(`${header} lies outside`, () => assert.equal(parseRange(header, SIZE), 'unsatisfiable'));
  }
  for (const header of [
    '',
    'bytes',
    'bytes=',
    'bytes=-',
    'bytes=5-4',
    'bytes=a-b',
    'bytes=0-1,5-6',
    'bytes=1-2-3',
    'bytes 0-1',
    'items=0-1',
    'bytes=+1-2',
    'bytes=0x1-2',
  ]) {
    test(`"${header}" asks for no single range`, () => assert.equal(parseRange(header, SIZE), undefined));
  }
  test('of an empty file cannot be satisfied from the front; its end is the whole, which is nothing', () => {
    assert.equal(parseRange('bytes=0-0', 0), 'unsatisfiable');
    assert.equal(parseRange('bytes=0-', 0), 'unsatisfiable');
    assert.equal(parseRange('bytes=-0', 0), 'unsatisfiable');
    assert.equal(parseRange('bytes=-1', 0), undefined);
  });
  test('means what was written', () => {
    fc.assert(
      fc.property(fc.nat({ max: SIZE - 1 }), fc.integer({ min: 1, max: SIZE }), (start, length) => {
        const range = { start, end: Math.min(SIZE, start + length) };
        assert.deepEqual(parseRange(formatRange(range), SIZE), range);
        assert.deepEqual(parseContentRange(formatContentRange(range, SIZE)), { range, size: SIZE });
      }),
    );
  });
});

describe('a Content-Range header', () => {
  for (const [header, value] of [
    ['bytes 0-9/100', { range: { start: 0, end: 10 }, size: 100 }],
    ['bytes 0-9/*', { range: { start: 0, end: 10 }, size: undefined }],
    ['bytes */100', { range: undefined, size: 100 }],
    ['Bytes 5-5/6', { range: { start: 5, end: 6 }, size: 6 }],
  ] as const) {
    test(header, () => assert.deepEqual(parseContentRange(header), value));
  }
  for (const header of [
    '',
    'bytes',
    'bytes */*',
    'bytes 5-4/100',
    'bytes 0-100/100',
    'bytes 0-9',
    'bytes=0-9/100',
    'items 0-9/100',
    'bytes -9/100',
    'bytes 0-99999999999999999/999999999999999999',
  ]) {
    test(`"${header}" is malformed`, () => assert.equal(parseContentRange(header), undefined));
  }
});
