import assert from 'node:assert/strict';
import { it } from 'node:test';

import { OncePerEvent } from '../../../src/events/once-per-event.ts';

it('work is done once, however often its event comes, also at the same time', async () => {
  const once = new OncePerEvent();
  let done = 0;
  const { promise: gate, resolve } = Promise.withResolvers<void>();
  const work = async (): Promise<void> => {
    await gate;
    done++;
  };
  const running = [once.run('a', work), once.run('a', work)];
  resolve();
  assert.deepEqual(await Promise.all(running), [true, false]);
  assert.equal(await once.run('a', work), false);
  assert.equal(done, 1);
});

it('work that fails is done again, and who waited for it hears of the failure', async () => {
  const once = new OncePerEvent();
  const fail = async (): Promise<void> => {
    throw new Error('no');
  };
  const outcomes = await Promise.allSettled([once.run('a', fail), once.run('a', fail)]);
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ['rejected', 'rejected'],
  );
  assert.equal(await once.run('a', async () => undefined), true);
});

it('the oldest is forgotten when there are too many', async () => {
  const once = new OncePerEvent(3);
  for (const id of ['a', 'b', 'c', 'd']) await once.run(id, async () => undefined);
  assert.deepEqual(
    ['a', 'b', 'c', 'd'].map((id) => once.has(id)),
    [false, true, true, true],
  );
});
