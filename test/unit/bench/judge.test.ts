import assert from 'node:assert/strict';
import { test } from 'node:test';

import { timesAsFast, timesTheCpu, timesTheTime } from '../../../bench/bars.ts';
import { judge, sumUp } from '../../../bench/judge.ts';
import type { ContestantResult } from '../../../bench/results.ts';
import type { Bar } from '../../../bench/scene.ts';
import { contestant, sample } from './figures.ts';

const rival = sumUp(contestant('rival'), [sample(1, 2), sample(2, 3), sample(3, 4)]);

function ours(...seconds: number[]): ContestantResult {
  return sumUp(
    contestant('ours'),
    seconds.map((each, index) => sample(index + 1, each)),
  );
}

function bar(more: Partial<Bar>): Bar {
  return {
    row: 'plain',
    work: 'work',
    text: 'text',
    demand: 'least',
    bound: 2,
    unit: 'x',
    value: timesAsFast('ours', 'rival'),
    ...more,
  };
}

test('the medians decide and the rounds give the spread', () => {
  const verdict = judge(bar({}), [rival, ours(1, 1.5, 4)]);
  assert.equal(verdict.value, 2);
  assert.deepEqual(verdict.spread, { low: 1, high: 2 });
  assert.equal(verdict.reached, true);
});

test('a bar that is not quite reached is missed', () => {
  assert.equal(judge(bar({}), [rival, ours(1.51, 1.51, 1.51)]).reached, false);
});

test('a demand of at most is held from above', () => {
  const demand = bar({ demand: 'most', bound: 0.5, value: timesTheTime('ours', 'rival') });
  assert.equal(judge(demand, [rival, ours(1.5, 1.5, 1.5)]).reached, true);
  assert.equal(judge(demand, [rival, ours(1.6, 1.6, 1.6)]).reached, false);
});

test('CPU is counted for each GiB', () => {
  const twice = sumUp(contestant('ours'), [sample(1, 6, { bytes: 2 * sample(1, 1).bytes })]);
  assert.equal(judge(bar({ value: timesTheCpu('ours', 'rival') }), [rival, twice]).value, 1);
});

test('a run of ours that never finished misses the bar, and is in no median', () => {
  const failed = sumUp(contestant('ours'), [sample(1, 1), sample(2, 1), sample(3, 0.1, { failed: 'hung' })]);
  assert.equal(failed.median.seconds, 1);
  assert.equal(failed.failures, 1);
  const verdict = judge(bar({}), [rival, failed]);
  assert.equal(verdict.value, 3);
  assert.equal(verdict.reached, false);
});

test('a rival that never finished leaves nothing to compare with', () => {
  const failing = sumUp(contestant('rival'), [sample(1, 1, { failed: 'exit status 1' })]);
  const verdict = judge(bar({}), [failing, ours(1)]);
  assert.equal(verdict.value, Number.NaN);
  assert.equal(verdict.reached, false);
});

test('rounds that only one of them ran are not compared', () => {
  const once = sumUp(contestant('rival'), [sample(1, 8)]);
  assert.deepEqual(judge(bar({}), [once, ours(1, 2, 4)]).spread, { low: 8, high: 8 });
});

test('memory is the highest of all runs', () => {
  assert.equal(rival.median.memory, 3e6);
});
