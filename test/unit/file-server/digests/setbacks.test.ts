import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { HeadwaterError } from '../../../../src/core/errors.ts';
import { Setbacks } from '../../../../src/file-server/digests/setbacks.ts';

const STATE = { size: 3n, inode: 7n, modifiedNs: 1n, changedNs: 2n };
const ERROR = new HeadwaterError('HW_DISK', 'no');

function begun(t: { mock: { method: typeof import('node:test').mock.method } }) {
  let now = 0;
  t.mock.method(performance, 'now', () => now);
  return { setbacks: new Setbacks(), at: (milliseconds: number) => (now = milliseconds) };
}

describe('a file that could not be hashed', () => {
  test('is tried again after a while, that doubles up to a minute', (t) => {
    const { setbacks, at } = begun(t);
    let time = 0;
    for (const wait of [1, 2, 4, 8, 16, 32, 60, 60]) {
      assert.equal(setbacks.of('/a', STATE), undefined);
      setbacks.add('/a', STATE, ERROR);
      at(time + wait * 1000 - 1);
      assert.equal(setbacks.of('/a', STATE)?.error, ERROR);
      assert.equal(setbacks.of('/b', STATE), undefined);
      at((time += wait * 1000));
    }
    assert.equal(setbacks.of('/a', STATE), undefined);
  });

  test('is tried at once when it is another file, and begins anew with its waits', (t) => {
    const { setbacks, at } = begun(t);
    setbacks.add('/a', STATE, ERROR);
    at(1000);
    setbacks.add('/a', STATE, ERROR);
    const other = { ...STATE, changedNs: 3n };
    assert.equal(setbacks.of('/a', other), undefined);
    assert.equal(setbacks.add('/a', other, ERROR).until, 2000);
  });

  test('is forgotten once it was hashed', (t) => {
    const { setbacks, at } = begun(t);
    setbacks.add('/a', STATE, ERROR);
    setbacks.forget('/a');
    assert.equal(setbacks.of('/a', STATE), undefined);
    at(5000);
    assert.equal(setbacks.add('/a', STATE, ERROR).until, 6000);
  });
});
