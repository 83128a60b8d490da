import assert from 'node:assert/strict';
import { it } from 'node:test';

import { HeadwaterError } from '../../../src/core/errors.ts';
import { Batcher } from '../../../src/information-server/servers/batcher.ts';

it('what comes while a batch is written goes together into the next, and each gets its own answer', async () => {
  const batches: number[][] = [];
  const { promise: gate, resolve } = Promise.withResolvers<void>();
  const batcher = new Batcher<number, number>({
    window: 0,
    most: 3,
    work: async (items) => {
      batches.push([...items]);
      await gate;
      return items.map((item) => (item === 4 ? new HeadwaterError('HW_CONFLICT', 'four') : item * 10));
    },
  });
  const first = batcher.add(1);
  const { promise: turn, resolve: next } = Promise.withResolvers<void>();
  setTimeout(next, 0);
  await turn;
  assert.ok(batcher.waited > 0, 'the first one is not written yet');
  const rest = [2, 3, 4, 5].map((item) => batcher.add(item));
  const settled = Promise.allSettled(rest);
  resolve();
  assert.equal(await first, 10);
  assert.deepEqual(
    (await settled).map((each) => (each.status === 'fulfilled' ? each.value : each.reason.code)),
    [20, 30, 'HW_CONFLICT', 50],
  );
  assert.deepEqual(batches, [[1], [2, 3, 4], [5]]);
  assert.equal(batcher.waited, 0);
});

it('a batch that fails fails for all in it, and closing does what waits', async () => {
  let fails = true;
  const batcher = new Batcher<number, number>({
    window: 60_000,
    most: 10,
    work: async (items) => {
      if (fails) throw new Error('no database');
      return items;
    },
  });
  const outcomes = await Promise.allSettled([batcher.add(1), batcher.add(2)]);
  assert.ok(outcomes.every(({ status }) => status === 'rejected'));
  fails = false;
  const late = batcher.add(3);
  const urgent = batcher.add(4, true);
  assert.deepEqual(await Promise.all([late, urgent]), [3, 4]);
  const last = batcher.add(5);
  await batcher.close();
  assert.equal(await last, 5);
});
