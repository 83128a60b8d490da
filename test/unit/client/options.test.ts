import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { test } from 'node:test';

import { HeadwaterError, type ErrorCode } from '../../../src/core/errors.ts';
import type { Manifest } from '../../../src/core/manifest.ts';
import { normalize } from '../../../src/client/options.ts';

const SOURCES = ['http://127.0.0.1:1/file'];
const DIGEST = 'a'.repeat(64);
const MANIFEST: Manifest = { version: 1, size: 8, chunkSize: 4, sha256: DIGEST, chunks: [DIGEST, DIGEST] };

function code(run: () => unknown): ErrorCode | undefined {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof HeadwaterError, String(error));
    return error.code;
  }
  return undefined;
}

test('takes a manifest that is whole', () => {
  assert.deepEqual(normalize(SOURCES, { manifest: MANIFEST }).manifest, MANIFEST);
});

test('refuses a manifest with fewer digests than the file has chunks', () => {
  assert.equal(
    code(() => normalize(SOURCES, { manifest: { ...MANIFEST, chunks: [DIGEST] } })),
    'HW_MANIFEST_INVALID',
  );
});

test('refuses a manifest that is of another file than the digest', () => {
  assert.equal(
    code(() => normalize(SOURCES, { manifest: MANIFEST, sha256: 'b'.repeat(64) })),
    'HW_MANIFEST_INVALID',
  );
});

test('takes a limit without end as none', () => {
  assert.equal(normalize(SOURCES, { limit: Infinity }).limit, undefined);
});

test('refuses memory without end, of which no part can be told', () => {
  assert.equal(
    code(() => normalize(SOURCES, { memory: Infinity, output: new Writable() })),
    'HW_USAGE',
  );
});

test('refuses an option that only every object has', () => {
  const options = { constructor: 1 } as object;
  assert.equal(
    code(() => normalize(SOURCES, options)),
    'HW_USAGE',
  );
});
