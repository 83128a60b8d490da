import assert from 'node:assert/strict';
import { test } from 'node:test';

import * as fc from 'fast-check';

import { BLOCK_BYTES, PiecePool } from '../../../../src/client/destinations/piece-pool.ts';

/** Least that a lane is lent, and how many of it a block makes. */
const LEAST_PIECE = 16 * 1024;
const IN_A_BLOCK = BLOCK_BYTES / LEAST_PIECE;

const never = (): void => assert.fail('nothing was waited for');

/** The same memory twice would be two lanes' bytes in one place. */
function overlap(one: Uint8Array, other: Uint8Array): boolean {
  if (one.buffer !== other.buffer) return false;
  return one.byteOffset < other.byteOffset + other.length && other.byteOffset < one.byteOffset + one.length;
}

test('a few lanes get whole blocks, up to the budget', () => {
  const pool = new PiecePool(4 * BLOCK_BYTES + 1);
  pool.receiving = 2;
  for (let block = 0; block < 4; block++) assert.equal(pool.take(never)?.length, BLOCK_BYTES);
  let granted: Uint8Array | undefined;
  assert.equal(
    pool.take((piece) => {
      granted = piece;
    }),
    undefined,
  );
  assert.equal(granted, undefined);
});

test('the more lanes, the smaller the pieces, so that all of them can receive', () => {
  const pool = new PiecePool(8 * 1024 * 1024);
  pool.receiving = 256;
  const pieces = Array.from({ length: 256 }, () => pool.take(never));
  for (const piece of pieces) assert.equal(piece?.length, LEAST_PIECE);
  pool.receiving = 1;
  assert.equal(pool.take(never)?.length, BLOCK_BYTES);
});

test('who waits gets what is given back, in the order they came, and nobody is passed over', () => {
  const pool = new PiecePool(BLOCK_BYTES);
  const piece = pool.take(never);
  assert.ok(piece);
  const order: number[] = [];
  const wait = (who: number): ((given: Uint8Array) => void) => {
    const grant = (given: Uint8Array): void => {
      order.push(who);
      pool.give(given);
    };
    assert.equal(pool.take(grant), undefined);
    return grant;
  };
  wait(1);
  const second = wait(2);
  wait(3);
  pool.forget(second);
  pool.give(piece);
  assert.deepEqual(order, [1, 3]);
});

test('a block that comes back serves as many as it has pieces for', () => {
  const pool = new PiecePool(BLOCK_BYTES);
  const whole = pool.take(never);
  assert.ok(whole);
  pool.receiving = IN_A_BLOCK;
  const granted: Uint8Array[] = [];
  for (let lane = 0; lane < IN_A_BLOCK + 4; lane++) pool.take((piece) => granted.push(piece));
  pool.give(whole);
  assert.equal(granted.length, IN_A_BLOCK);
  for (const piece of granted) assert.equal(piece.length, LEAST_PIECE);
});

test('pieces that are all back are a block again', () => {
  const pool = new PiecePool(BLOCK_BYTES);
  pool.receiving = IN_A_BLOCK;
  const pieces = Array.from({ length: IN_A_BLOCK }, () => pool.take(never));
  pool.receiving = 0;
  for (const piece of pieces) if (piece !== undefined) pool.give(piece);
  assert.equal(pool.take(never)?.length, BLOCK_BYTES);
});

test('whole chunks get all their memory or none, and never more than half of it together', () => {
  const pool = new PiecePool(8 * BLOCK_BYTES);
  assert.equal(pool.longestWhole, 4 * BLOCK_BYTES);
  const first = pool.takeWhole(2 * BLOCK_BYTES + 1, never);
  assert.equal(first?.length, 3);
  let second: readonly Uint8Array[] | undefined;
  const grant = (blocks: readonly Uint8Array[]): void => {
    second = blocks;
  };
  assert.equal(pool.takeWhole(2 * BLOCK_BYTES, grant), undefined);
  assert.equal(pool.takeWhole(BLOCK_BYTES, never)?.length, 1, 'a smaller one fits beside');
  pool.giveWhole(first ?? []);
  assert.equal(second?.length, 2);
});

test('lanes come before whole chunks', () => {
  const pool = new PiecePool(4 * BLOCK_BYTES);
  const pieces = Array.from({ length: 4 }, () => pool.take(never));
  const order: string[] = [];
  pool.takeWhole(BLOCK_BYTES, () => order.push('whole'));
  pool.take(() => order.push('lane'));
  for (const piece of pieces.slice(0, 2)) if (piece !== undefined) pool.give(piece);
  assert.deepEqual(order, ['lane', 'whole']);
});

test('whoever takes, waits, forgets and gives in whatever order: no byte is lent twice, none is lost', () => {
  const step = fc.oneof(
    fc.constant('take' as const),
    fc.constant('whole' as const),
    fc.nat({ max: 30 }).map((at) => ({ give: at })),
    fc.nat({ max: 5 }).map((at) => ({ forget: at })),
    fc.nat({ max: 200 }).map((lanes) => ({ lanes })),
  );
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 6 }), fc.array(step, { maxLength: 120 }), (blocks, steps) => {
      const memory = blocks * BLOCK_BYTES;
      const pool = new PiecePool(memory);
      const lent: (Uint8Array | readonly Uint8Array[])[] = [];
      const waiting: ((piece: Uint8Array) => void)[] = [];
      const take = (): void => {
        const grant = (piece: Uint8Array): void => {
          waiting.splice(waiting.indexOf(grant), 1);
          lent.push(piece);
        };
        const piece = pool.take(grant);
        if (piece === undefined) waiting.push(grant);
        else lent.push(piece);
      };
      const giveBack = (each: Uint8Array | readonly Uint8Array[]): void =>
        each instanceof Uint8Array ? pool.give(each) : pool.giveWhole(each);
      for (const each of steps) {
        if (each === 'take') take();
        else if (each === 'whole') {
          const got = pool.takeWhole(BLOCK_BYTES + 5, (many) => lent.push(many));
          if (got !== undefined) lent.push(got);
        } else if ('lanes' in each) pool.receiving = each.lanes;
        else if ('forget' in each) {
          const [grant] = waiting.splice(each.forget, 1);
          if (grant !== undefined) pool.forget(grant);
        } else {
          const [back] = lent.splice(each.give, 1);
          if (back !== undefined) giveBack(back);
        }
        const out = lent.flat();
        assert.ok(out.reduce((sum, { length }) => sum + length, 0) <= memory);
        for (const [at, one] of out.entries())
          for (const other of out.slice(at + 1)) assert.ok(!overlap(one, other));
      }
      // What is granted on the way comes back too, until nobody waits.
      for (let back = lent.pop(); back !== undefined; back = lent.pop()) giveBack(back);
      assert.equal(waiting.length, 0);
      pool.receiving = 0;
      for (let block = 0; block < blocks; block++) assert.equal(pool.take(never)?.length, BLOCK_BYTES);
    }),
    { numRuns: 300 },
  );
});
