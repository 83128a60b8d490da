import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  clock,
  count,
  percentDone,
  percentOf,
  rate,
  size,
  spell,
  steadySize,
} from '../../../../src/cli/print/amounts.ts';

test('sizes are powers of 1024 and say so', () => {
  assert.equal(size(0), '0 B');
  assert.equal(size(1024), '1 KiB');
  assert.equal(size(1.5 * 1024 ** 3), '1.5 GiB');
  assert.equal(rate(12.34 * 1024 ** 2), '12.3 MiB/s');
  assert.equal(size(0.4), '0 B');
});

test('what changes in place has three digits, whatever it is', () => {
  const KIB = 1024;
  for (const [bytes, text] of [
    [0, '0 B'],
    [999, '999 B'],
    [KIB, '1.00 KiB'],
    [9.99 * KIB, '9.99 KiB'],
    [9.999 * KIB, '10.0 KiB'],
    [99.96 * KIB, '100 KiB'],
    [1023 * KIB, '1020 KiB'],
    [KIB ** 2, '1.00 MiB'],
  ] as const) {
    assert.equal(steadySize(bytes), text);
  }
});

test('a download is at 100 % only when nothing is missing', () => {
  assert.equal(percentDone(0.999_999), '99 %');
  assert.equal(percentDone(1), '100 %');
  assert.equal(percentDone(0.29), '29 %');
  assert.equal(percentOf(0.996), '100 %');
});

test('time in numbers', () => {
  assert.equal(clock(0), '0:00');
  assert.equal(clock(34.2), '0:35');
  assert.equal(clock(245), '4:05');
  assert.equal(clock(3780), '1:03:00');
  assert.equal(clock(-1), '0:00');
});

test('time in words', () => {
  assert.equal(spell(0), '0 s');
  assert.equal(spell(0.042), '0.04 s');
  assert.equal(spell(6.31), '6.3 s');
  assert.equal(spell(59.97), '1 min');
  assert.equal(spell(245), '4 min 5 s');
  assert.equal(spell(3780), '1 h 3 min');
});

test('one is singular', () => {
  assert.equal(count(1, 'source'), '1 source');
  assert.equal(count(2766, 'chunk'), '2,766 chunks');
});
