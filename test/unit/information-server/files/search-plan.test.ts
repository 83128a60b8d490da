import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import type { FileSample, SampledFile } from '../../../../src/information-server/files/file-sample.ts';
import { neighbours, planSearch, stepsOf } from '../../../../src/information-server/files/search-plan.ts';

const FILES = 1_000_000;

/** A sample of 2,000 of a million files; every tenth is a report, the last twentieth is of 2024. */
function sampleOf(files = FILES): FileSample {
  const rows = Array.from({ length: 2_000 }, (_, at): SampledFile => {
    const folder = at >= 1_900 ? 'y2024' : `a${at % 40}`;
    const name = `${folder}/${at % 10 === 0 ? 'report' : 'photo'}-${String(at).padStart(4, '0')}`;
    return { name_folded: name, size: (at * 1_009) % 2_000, created_at: at };
  });
  const by = (column: keyof SampledFile): SampledFile[] =>
    rows.toSorted((one, other) => (one[column] < other[column] ? -1 : 1));
  return {
    files,
    rows,
    sorted: { name_folded: by('name_folded'), size: by('size'), created_at: by('created_at') },
  };
}

const MEANS = { piecesOf: (term: string) => neighbours(term, 3), lookUpCost: 10 };
const ORDER = { column: 'name_folded', descending: false, after: undefined, limit: 101 } as const;

describe('a search is', () => {
  const sample = sampleOf();
  const how = (term: string, more: object = {}): string =>
    planSearch({ ...ORDER, ...more, term }, sample, MEANS).how;
  test('walked when what it finds is common', () => assert.equal(how('report'), 'walk'));
  test('looked up when it is rare, or in no name of the sample', () => {
    assert.equal(how('report-0770'), 'look-up');
    assert.equal(how('zzz'), 'look-up');
  });
  test('looked up when what it finds is together, far from where the page begins', () => {
    assert.equal(how('y2024'), 'look-up');
    assert.equal(how('y2024', { descending: true }), 'walk');
    assert.equal(how('y2024', { after: { key: 'y2024/photo-1901', number: 1 } }), 'walk');
    assert.equal(how('y2024', { column: 'size' }), 'walk');
  });
  test('walked when no index has its pieces, or there are few files', () => {
    assert.equal(planSearch({ ...ORDER, term: 'zz' }, sample, MEANS).how, 'walk');
    assert.equal(planSearch({ ...ORDER, term: 'zzz' }, sampleOf(20_000), MEANS).how, 'walk');
  });
  test('looked up by its rarest pieces', () => {
    const plan = planSearch({ ...ORDER, term: 'report-0770' }, sample, MEANS);
    assert.ok(plan.how === 'look-up');
    assert.equal(plan.pieces.length, 3);
    for (const piece of ['077', '770']) assert.ok(plan.pieces.includes(piece));
  });
});

test('the steps of a walk become longer, and end within the list', () => {
  const sample = sampleOf();
  const steps = stepsOf({ ...ORDER, column: 'created_at' }, sample);
  assert.deepEqual(steps.slice(0, 5), [8, 24, 56, 120, 184]);
  assert.ok(steps.length > 25 && steps.every((step) => Number(step) < 2_000));
  const back = stepsOf(
    { ...ORDER, column: 'created_at', descending: true, after: { key: 100, number: 7 } },
    sample,
  );
  assert.deepEqual(back, [92, 76, 44]);
  assert.deepEqual(stepsOf({ ...ORDER, after: { key: 'zzz', number: 1 } }, sample), []);
});

test('pieces are of whole characters', () => {
  assert.deepEqual(neighbours('a🎉bc', 3), ['a🎉b', '🎉bc']);
  assert.deepEqual(neighbours('ab', 3), []);
});
