import assert from 'node:assert/strict';
import { test } from 'node:test';

import { runScene, rotated } from '../../../bench/rounds.ts';
import { idealAfterLoss } from '../../../bench/rows/four-hosts.ts';
import type { BenchContext, Contestant, Scene } from '../../../bench/scene.ts';
import type { Workspace } from '../../../bench/workspace.ts';
import { contestant, sample } from './figures.ts';

test('each round begins with another contestant', () => {
  assert.deepEqual(
    [0, 1, 2, 3].map((by) => rotated(['a', 'b', 'c'], by).join('')),
    ['abc', 'bca', 'cab', 'abc'],
  );
  assert.deepEqual(rotated([], 3), []);
});

test('a scene runs those whom the rows asked for need, each as often as it wants, and is closed', async () => {
  const order: string[] = [];
  let closed = false;
  const recording = (id: string, more: Partial<Contestant> = {}): Contestant =>
    contestant(id, {
      ...more,
      run: (round) => {
        order.push(`${id}${round}`);
        return Promise.resolve(sample(round, 1));
      },
    });
  const scene: Scene = {
    id: 'scene',
    title: 'A scene',
    rows: ['plain', 'sha256'],
    tools: [],
    needsRoot: false,
    open: () =>
      Promise.resolve({
        facts: {},
        notes: [],
        contestants: [
          recording('a'),
          recording('b', { mostRounds: 1 }),
          recording('c', { rows: ['sha256'] }),
        ],
        bars: [],
        [Symbol.asyncDispose]: () => {
          closed = true;
          return Promise.resolve();
        },
      }),
  };
  const context: BenchContext = {
    rows: new Set(['plain']),
    rounds: 2,
    quick: false,
    workspace: {} as Workspace,
    signal: new AbortController().signal,
    say: () => undefined,
  };
  const result = await runScene(scene, context);
  assert.deepEqual(order, ['a1', 'b1', 'a2']);
  assert.deepEqual(
    result.contestants.map((each) => each.samples.length),
    [2, 1],
  );
  assert.equal(closed, true);
});

test('the ideal time after a loss counts what all gave before it', () => {
  // 2 s of 40 a second, then 120 left at 20 a second.
  assert.equal(idealAfterLoss(200, [20, 10, 10], 2), 8);
  // Done before the loss.
  assert.equal(idealAfterLoss(40, [20, 10, 10], 2), 1);
});
