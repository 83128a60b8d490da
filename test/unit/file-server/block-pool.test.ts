import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { BlockPool } from '../../../src/file-server/block-pool.ts';
import {
  BLOCK_BUDGET_BYTES,
  BLOCK_BYTES,
  IDLE_BLOCK_BYTES,
  LEAST_BLOCK_BYTES,
} from '../../../src/file-server/limits.ts';

describe('a pool of blocks', () => {
  test('gives large blocks to few answers', () => {
    assert.equal(new BlockPool().join(1e9), BLOCK_BYTES);
  });

  test('gives no more than an answer needs', () => {
    const size = new BlockPool().join(20_000);
    assert.ok(size >= 20_000 && size < 40_000, `${size}`);
    assert.equal(new BlockPool().join(1), LEAST_BLOCK_BYTES);
  });

  test('stays within its budget however many answers there are', () => {
    const pool = new BlockPool();
    for (let answers = 1; answers <= 5_000; answers++) {
      const size = pool.join(1e9);
      assert.ok(size === LEAST_BLOCK_BYTES || size * 2 * answers <= BLOCK_BUDGET_BYTES);
    }
    for (let answers = 1; answers <= 5_000; answers++) pool.leave();
    assert.equal(pool.join(1e9), BLOCK_BYTES);
  });

  test('uses a block again, and keeps only so many', () => {
    const pool = new BlockPool();
    const block = pool.take(BLOCK_BYTES);
    pool.give(block);
    assert.equal(pool.take(BLOCK_BYTES), block);
    const most = IDLE_BLOCK_BYTES / BLOCK_BYTES;
    const given = Array.from({ length: most + 1 }, () => pool.take(BLOCK_BYTES));
    for (const each of given) pool.give(each);
    const taken = Array.from({ length: most + 1 }, () => pool.take(BLOCK_BYTES));
    assert.equal(taken.filter((each) => given.includes(each)).length, most);
  });
});
