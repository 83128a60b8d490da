import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { array, assert as hold, nat, oneof, property, record, uint8Array } from 'fast-check';

import { chunkSizeFor, ChunkLayout, MIB } from '../../../src/core/chunks.ts';
import { HeadwaterError } from '../../../src/core/errors.ts';
import { packManifest, unpackManifest } from '../../../src/core/manifest-binary.ts';
import { canonicalManifest, parseManifest, type Manifest } from '../../../src/core/manifest.ts';

const digest = uint8Array({ minLength: 32, maxLength: 32 });
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** Any manifest of up to some hundred chunks, and its chunks' digests. */
const anyManifest = record({ size: nat({ max: 300 * MIB }), sha256: digest, seed: digest }).map(
  ({ size, sha256, seed }) => {
    const chunkSize = chunkSizeFor(size);
    const { count } = new ChunkLayout(size, chunkSize);
    const digests = Buffer.concat(
      Array.from({ length: count }, (_, at) => seed.map((byte) => byte ^ (at & 255))),
    );
    const chunks = Array.from({ length: count }, (_, at) => digests.toString('hex', at * 32, at * 32 + 32));
    const manifest: Manifest = { version: 1, size, chunkSize, sha256: hex(sha256), chunks };
    return { manifest, digests };
  },
);

test('what is packed is read, and is the same manifest as in JSON', () => {
  hold(
    property(anyManifest, ({ manifest, digests }) => {
      const packed = packManifest(manifest, digests);
      assert.equal(packed.length, 56 + digests.length);
      assert.deepEqual(unpackManifest(packed, 'here'), parseManifest(canonicalManifest(manifest), 'here'));
    }),
  );
});

test('sizes beyond 32 bits are kept', () => {
  const size = 2 ** 53 - 1;
  const chunkSize = 64 * MIB;
  const { count } = new ChunkLayout(size, chunkSize);
  const head = { version: 1, size: 2 ** 40 + 7, chunkSize, sha256: 'ab'.repeat(32) } as const;
  const digests = new Uint8Array(32 * new ChunkLayout(head.size, chunkSize).count);
  assert.equal(unpackManifest(packManifest(head, digests), 'here').size, head.size);
  // Too many chunks to make: the count is held against the size before anything is.
  const lie = packManifest({ ...head, size }, new Uint8Array(0));
  assert.throws(
    () => unpackManifest(lie, 'here'),
    new RegExp(`lists 0 chunks where its size makes ${count}`),
  );
});

test('any bytes are a manifest or an error of ours, and what is read is packed to the same bytes', () => {
  const broken = anyManifest.chain(({ manifest, digests }) => {
    const packed = packManifest(manifest, digests);
    const change = record({ at: nat({ max: packed.length - 1 }), to: nat({ max: 255 }) });
    return record({ changes: array(change, { maxLength: 3 }), cut: nat({ max: 4 }) }).map((harm) => {
      const bytes = packed.slice(0, packed.length - harm.cut);
      for (const { at, to } of harm.changes) if (at < bytes.length) bytes[at] = to;
      return bytes;
    });
  });
  hold(
    property(oneof(uint8Array({ maxLength: 200 }), broken), (bytes) => {
      let read: Manifest;
      try {
        read = unpackManifest(bytes, 'somewhere');
      } catch (error) {
        assert.ok(error instanceof HeadwaterError && error.code === 'HW_MANIFEST_INVALID');
        return;
      }
      assert.deepEqual(packManifest(read, Buffer.from(read.chunks.join(''), 'hex')), Uint8Array.from(bytes));
    }),
    { numRuns: 500 },
  );
});

describe('refused, with the place it came from and what is wrong', () => {
  const head = { version: 1, size: MIB + 1, chunkSize: MIB, sha256: 'ab'.repeat(32) } as const;
  const good = packManifest(head, new Uint8Array(64));
  const changed = (at: number, ...bytes: number[]): Uint8Array => {
    const copy = good.slice();
    copy.set(bytes, at);
    return copy;
  };
  const cases: readonly [string, Uint8Array, RegExp][] = [
    ['nothing', new Uint8Array(0), /does not begin as one does/],
    ['something else', changed(0, 0x50), /does not begin as one does/],
    ['another version', changed(4, 2), /has version 2; this program reads 1/],
    ['something in the gap', changed(6, 1), /where nothing belongs/],
    ['a size past what a number holds', changed(8, 0xff), /no valid size/],
    ['chunks of nothing', changed(16, 0, 0, 0, 0), /chunks of 0 bytes/],
    ['chunks too large to hold', changed(16, 0xff), /chunks of 4279238656 bytes/],
    ['a chunk too many', changed(20, 0, 0, 0, 3), /lists 3 chunks where its size makes 2/],
    ['a byte too few', good.slice(0, -1), /has 119 bytes where 2 chunks make 120/],
    ['a byte too many', Uint8Array.from([...good, 0]), /has 121 bytes where 2 chunks make 120/],
  ];
  for (const [what, bytes, message] of cases) {
    test(what, () => {
      assert.throws(() => unpackManifest(bytes, 'm'), { code: 'HW_MANIFEST_INVALID', message });
    });
  }
});
