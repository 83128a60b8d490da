import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import * as fc from 'fast-check';

import { isServedSegment, parseTarget, pathOfName } from '../../../src/file-server/request-name.ts';

const NOTHING = { kind: 'nothing' };

describe('a request target', () => {
  for (const [target, name] of [
    ['/a.bin', 'a.bin'],
    ['/a%20b%C3%BC%25.txt', 'a bü%.txt'],
    ['/sub/deep/a', 'sub/deep/a'],
    ['http://host:80/a.bin', 'a.bin'],
    ['HTTPS://host/a.bin?x', 'a.bin'],
    ['/a?b=../..', 'a'],
    ['/a;b=1', 'a;b=1'],
    ['/a+b', 'a+b'],
    ['/..a', undefined],
    ['/a..', 'a..'],
  ] as const) {
    test(`${target} names ${name ?? 'nothing'}`, () =>
      assert.deepEqual(parseTarget(target), name === undefined ? NOTHING : { kind: 'file', name }));
  }

  for (const target of ['/', '/?', '/?x', 'http://host', 'http://host/', 'http://host?x']) {
    test(`${target} is the list of names`, () => assert.deepEqual(parseTarget(target), { kind: 'index' }));
  }

  for (const target of ['/a?manifest', '/a?manifest=', '/a?x=1&manifest', 'http://host/a?manifest']) {
    test(`${target} is a manifest`, () =>
      assert.deepEqual(parseTarget(target), { kind: 'manifest', name: 'a' }));
  }

  for (const target of [
    '',
    '*',
    'a.bin',
    'host:443',
    'ftp://host/a',
    '//',
    '//a',
    '/a/',
    '/a//b',
    '/.',
    '/..',
    '/../a',
    '/a/../b',
    '/a/..',
    '/%2e%2e/a',
    '/%2E./a',
    '/a%2f..%2fb',
    '/..%2fa',
    '/..%5ca',
    '/a%5cb',
    String.raw`/..\a`,
    '/a%00',
    '/a%00.bin',
    '/.hidden',
    '/%2ehidden',
    '/a/.git/config',
    '/%',
    '/%zz',
    '/%ff',
    '/%c0%ae%c0%ae/a',
    '/%ed%a0%80',
  ]) {
    test(`${JSON.stringify(target)} is nothing`, () => assert.deepEqual(parseTarget(target), NOTHING));
  }

  test('never names a place outside, whatever it is', () => {
    const piece = fc.oneof(
      fc.constantFrom(
        '/',
        '.',
        '..',
        '%2e',
        '%2f',
        '%5c',
        '\\',
        '%00',
        'a',
        '%61',
        '?',
        '#',
        '%25',
        'http://h',
      ),
      fc.string({ maxLength: 3 }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
        const asked = parseTarget(`/${pieces.join('')}`);
        if (asked.kind !== 'file' && asked.kind !== 'manifest') return;
        assert.ok(join('/root', asked.name).startsWith('/root/'));
        assert.ok(asked.name.split('/').every(isServedSegment));
      }),
      { numRuns: 2000 },
    );
  });

  test('made of a name that can be served gives that name back', () => {
    const segment = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }).filter(isServedSegment);
    fc.assert(
      fc.property(fc.array(segment, { minLength: 1, maxLength: 4 }), (segments) => {
        const name = segments.join('/');
        assert.deepEqual(parseTarget(pathOfName(name)), { kind: 'file', name });
      }),
    );
  });
});
