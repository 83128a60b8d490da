import assert from 'node:assert/strict';
import { test } from 'node:test';

import { median, spread } from '../../../bench/statistics.ts';

test('the median is the middle value whatever the order', () => {
  assert.equal(median([30, 10, 20]), 20);
});

test('the median of an even count is the mean of the middle two', () => {
  assert.equal(median([40, 10, 20, 30]), 25);
});

test('one wild value does not move the median', () => {
  assert.equal(median([1, 1, 1, 1, 1000]), 1);
});

test('nothing has no median and no spread', () => {
  assert.equal(median([]), Number.NaN);
  assert.deepEqual(spread([]), { low: Number.NaN, high: Number.NaN });
});

test('the spread is the lowest and the highest', () => {
  assert.deepEqual(spread([3, 1, 2]), { low: 1, high: 3 });
});
