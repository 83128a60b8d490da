import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { MIB } from '../../../src/core/chunks.ts';
import { canonicalManifest, layoutOf, type Manifest, parseManifest } from '../../../src/core/manifest.ts';

const digest = (character: string): string => character.repeat(64);
const MANIFEST: Manifest = {
  version: 1,
  size: MIB + 1,
  chunkSize: MIB,
  sha256: digest('a'),
  chunks: [digest('b'), digest('c')],
};

test('what is written is read', () => {
  assert.deepEqual(parseManifest(canonicalManifest(MANIFEST), 'here'), MANIFEST);
});

test('the canonical text does not depend on the order of keys', () => {
  const { version, size, chunkSize, sha256, chunks } = MANIFEST;
  assert.equal(canonicalManifest({ chunks, sha256, chunkSize, size, version }), canonicalManifest(MANIFEST));
  const { chunks: _, ...rest } = MANIFEST;
  assert.deepEqual(parseManifest(JSON.stringify({ chunks, ...rest }, null, 2), 'here'), MANIFEST);
});

test('the layout is that of the file', () => {
  const layout = layoutOf(MANIFEST);
  assert.equal(layout.count, 2);
  assert.equal(layout.bytes(1), 1);
});

test('an empty file has a manifest without chunks', () => {
  const empty = { ...MANIFEST, size: 0, chunks: [] };
  assert.deepEqual(parseManifest(JSON.stringify(empty), 'here'), empty);
});

describe('refused, with the place it came from and what is wrong', () => {
  const cases: readonly [string, unknown, RegExp][] = [
    ['no object', [], /is not a JSON object/],
    ['null', null, /is not a JSON object/],
    ['another version', { ...MANIFEST, version: 2 }, /has version 2; this program reads 1/],
    ['no version', { ...MANIFEST, version: undefined }, /has version undefined/],
    ['an unknown key', { ...MANIFEST, extra: 1 }, /unknown key "extra"/],
    ['a negative size', { ...MANIFEST, size: -1 }, /"size"/],
    ['a size past what a number holds', { ...MANIFEST, size: 2 ** 53 }, /"size"/],
    ['a size in words', { ...MANIFEST, size: '5' }, /"size"/],
    ['chunks of nothing', { ...MANIFEST, chunkSize: 0 }, /"chunkSize"/],
    ['chunks too large to hold', { ...MANIFEST, chunkSize: 64 * MIB + 1 }, /more than 67108864/],
    ['a digest in upper case', { ...MANIFEST, sha256: digest('A') }, /"sha256"/],
    ['a short digest', { ...MANIFEST, chunks: [digest('b'), 'c'] }, /"chunks"/],
    ['a chunk too few', { ...MANIFEST, chunks: [digest('b')] }, /lists 1 chunks where its size makes 2/],
    ['a chunk too many', { ...MANIFEST, size: MIB }, /lists 2 chunks where its size makes 1/],
  ];
  for (const [what, value, message] of cases) {
    test(what, () => {
      assert.throws(() => parseManifest(JSON.stringify(value), 'http://a/f?manifest'), {
        code: 'HW_MANIFEST_INVALID',
        message: new RegExp(`^the manifest from http://a/f\\?manifest .*${message.source}`),
      });
    });
  }
  test('no JSON', () => {
    assert.throws(() => parseManifest('{', 'm.json'), {
      code: 'HW_MANIFEST_INVALID',
      message: 'the manifest from m.json is not JSON',
    });
  });
});
