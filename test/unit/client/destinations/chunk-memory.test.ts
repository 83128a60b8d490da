import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ChunkMemory } from '../../../../src/client/destinations/chunk-memory.ts';

const never = (): void => assert.fail('nothing was waited for');

test('a quarter of the memory is kept for chunks that a second lane fetches', () => {
  const memory = new ChunkMemory(8000, 1000, true);
  assert.equal(memory.window, 6);
  assert.equal(memory.spare, 2);
});

test('however large the chunks, one can go out while the next comes in', () => {
  const memory = new ChunkMemory(8000, 100_000, true);
  assert.equal(memory.window, 2);
  assert.equal(memory.spare, 0);
});

test('memory is used again where nobody keeps it, whatever part of it the last chunk took', () => {
  const memory = new ChunkMemory(8000, 1000, true);
  const last = memory.take(10);
  assert.equal(last.length, 10);
  memory.give(last);
  const next = memory.take(1000);
  assert.equal(next.length, 1000);
  assert.equal(next.buffer, last.buffer);
});

test('memory that may be kept is given to nobody else', () => {
  const memory = new ChunkMemory(8000, 1000, false);
  const chunk = memory.take(1000);
  memory.give(chunk);
  assert.notEqual(memory.take(1000).buffer, chunk.buffer);
});

test('second lanes wait for each other, in the order they came; who gave up is passed over', () => {
  const memory = new ChunkMemory(8000, 1000, true);
  assert.ok(memory.takeSpare(1000, never));
  assert.ok(memory.takeSpare(1000, never));
  const order: number[] = [];
  const waiting = [1, 2, 3].map((who) => {
    const grant = (chunk: Uint8Array): void => {
      assert.equal(chunk.length, 1000);
      order.push(who);
    };
    assert.equal(memory.takeSpare(1000, grant), undefined);
    return grant;
  });
  const [, second] = waiting;
  if (second !== undefined) memory.forget(second);
  memory.endSpare();
  memory.endSpare();
  assert.deepEqual(order, [1, 3]);
  memory.endSpare();
  assert.ok(memory.takeSpare(1000, never), 'one of the two places is free again');
});

test('a second lane waits while all memory is lent, whoever has it', () => {
  const memory = new ChunkMemory(8000, 1000, true);
  const window = Array.from({ length: memory.window }, () => memory.take(1000));
  for (let hedge = 0; hedge < memory.spare; hedge++) assert.ok(memory.takeSpare(1000, never));
  // Both came first: what they brought waits for its turn, and their rivals have not let go yet.
  memory.endSpare();
  memory.endSpare();
  let granted = 0;
  assert.equal(
    memory.takeSpare(1000, () => granted++),
    undefined,
  );
  const [rival] = window;
  assert.ok(rival);
  memory.give(rival);
  assert.equal(granted, 1);
});
