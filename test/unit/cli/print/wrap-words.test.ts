import assert from 'node:assert/strict';
import { test } from 'node:test';

import { wrapWords } from '../../../../src/cli/print/wrap-words.ts';

test('lines break between words and are as long as may be', () => {
  assert.equal(wrapWords('one two three four', 9), 'one two\nthree\nfour');
  assert.equal(wrapWords('one two', 7), 'one two');
});

test('a word that is too long stays whole', () =>
  assert.equal(wrapWords('a /very/long/path b', 5), 'a\n/very/long/path\nb'));
