import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import * as fc from 'fast-check';

import { contentDisposition } from '../../../src/file-server/content-disposition.ts';

describe('Content-Disposition', () => {
  for (const [name, field] of [
    ['big.iso', 'attachment; filename="big.iso"'],
    ['sub/big file.iso', 'attachment; filename="big file.iso"'],
    ['grün.txt', `attachment; filename="gr_n.txt"; filename*=UTF-8''gr%C3%BCn.txt`],
    ['😀', `attachment; filename="_"; filename*=UTF-8''%F0%9F%98%80`],
    ['50%.txt', `attachment; filename="50_.txt"; filename*=UTF-8''50%25.txt`],
    ['a"b', `attachment; filename="a_b"; filename*=UTF-8''a%22b`],
    ["it's (1)*.txt", `attachment; filename="it's (1)*.txt"`],
    ["ü's (1)*.txt", `attachment; filename="_'s (1)*.txt"; filename*=UTF-8''%C3%BC%27s%20%281%29%2A.txt`],
    [
      'a\r\nSet-Cookie: x',
      `attachment; filename="a__Set-Cookie: x"; filename*=UTF-8''a%0D%0ASet-Cookie%3A%20x`,
    ],
  ] as const) {
    test(`of ${JSON.stringify(name)}`, () => assert.equal(contentDisposition(name), field));
  }

  test('carries every name exactly, in a field that HTTP allows', () => {
    const name = fc.string({ unit: 'binary', minLength: 1 }).filter((each) => !each.includes('/'));
    fc.assert(
      fc.property(name, (name) => {
        const field = contentDisposition(name);
        assert.match(field, /^[\x20-\x7e]*$/);
        const plain = /^attachment; filename="([^"\\]*)"(?:; filename\*=UTF-8''([\w!#$&+.^`|~%-]+))?$/.exec(
          field,
        );
        assert.ok(plain);
        assert.equal(plain[2] === undefined ? plain[1] : decodeURIComponent(plain[2]), name.toWellFormed());
      }),
    );
  });
});
