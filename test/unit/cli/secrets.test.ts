import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { hideSecrets } from '../../../src/cli/secrets.ts';

describe('hidden are', () => {
  const hide = hideSecrets({
    Authorization: 'Bearer abc.def',
    'X-Api-Key': 'k1234',
    Accept: 'text/plain',
    Cookie: 'a',
  });
  for (const [text, shown] of [
    ['http://me:pw@a.example/f and https://you@b/g', 'http://***@a.example/f and https://***@b/g'],
    ['GET with Bearer abc.def failed', 'GET with *** failed'],
    ['k1234', '***'],
    ['http://a/f?X-Amz-Signature=00ff&part=1', 'http://a/f?X-Amz-Signature=***&part=1'],
    ['http://a/f?a=1&token=xyz#end', 'http://a/f?a=1&token=***#end'],
  ] as const) {
    test(text, () => assert.equal(hide(text), shown));
  }
  for (const text of [
    'http://a.example/f@2x.png',
    'text/plain',
    'a banana',
    'http://a/f?page=2',
    'mail me@a.example',
  ]) {
    test(`not "${text}"`, () => assert.equal(hide(text), text));
  }
});
