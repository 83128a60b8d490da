import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { type Claim, groupClaims, majority } from '../../../src/client/agreement.ts';

/** "10a" is a size and a digest; "10" a size alone. Ids count from 1. */
function claims(...words: readonly string[]): Claim[] {
  return words.map((word, at) => {
    const [, size = '', sha256] = /^(\d+)(\w+)?$/.exec(word) ?? [];
    return { id: at + 1, size: Number(size), sha256 };
  });
}

const ids = (...words: readonly string[]): (readonly number[])[] =>
  groupClaims(claims(...words)).map((group) => group.ids);

describe('sources that mean one file', () => {
  test('are those that say the same size', () => {
    assert.deepEqual(ids('10', '20', '10'), [[1, 3], [2]]);
  });
  test('and the same digest, where they state one', () => {
    assert.deepEqual(ids('10a', '10b', '10a'), [[1, 3], [2]]);
  });
  test('who states no digest goes with the largest group of its size', () => {
    assert.deepEqual(ids('10a', '10b', '10b', '10'), [[2, 3, 4], [1]]);
    assert.deepEqual(ids('10', '10a'), [[2, 1]]);
    assert.deepEqual(ids('20', '10a'), [[1], [2]]);
  });
  test('a group has the digest that one of it states', () => {
    const [group] = groupClaims(claims('10', '10a'));
    assert.deepEqual([group?.size, group?.sha256], [10, 'a']);
  });
  test('the largest comes first, among equals the one that was heard of first', () => {
    assert.deepEqual(ids('1', '2', '3', '3'), [[3, 4], [1], [2]]);
    assert.deepEqual(ids('2', '1'), [[1], [2]]);
  });
  test('are none where there are no sources', () => {
    assert.deepEqual(ids(), []);
  });
});

describe('a majority', () => {
  const of = (...words: readonly string[]): readonly number[] | undefined =>
    majority(groupClaims(claims(...words)))?.ids;

  test('is more than half of all', () => {
    assert.deepEqual(of('1', '2', '1'), [1, 3]);
    assert.deepEqual(of('1'), [1]);
  });
  test('is not half', () => {
    assert.equal(of('1', '2'), undefined);
    assert.equal(of('1', '1', '2', '2'), undefined);
  });
  test('is not the most of many', () => {
    assert.equal(of('1', '1', '2', '3'), undefined);
    assert.equal(of(), undefined);
  });
});
