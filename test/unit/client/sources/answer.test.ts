import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import {
  checkPart,
  checkUnchanged,
  refuseEncoding,
  refuseStatus,
  type Validators,
} from '../../../../src/client/sources/answer.ts';
import { retryAfter, SourceError, sourceError } from '../../../../src/client/sources/fault.ts';
import { HeadwaterError } from '../../../../src/core/errors.ts';
import type { Fault } from '../../../../src/core/scheduler/types.ts';
import type { ResponseHead } from '../../../../src/transport/connection.ts';

const URL = 'http://a.example/f';

function head(status: number, fields: Readonly<Record<string, string>> = {}): ResponseHead {
  return { status, headers: new Map(Object.entries(fields)) };
}

/** The fault that this is refused with; undefined when it is not. */
function fault(check: () => void): Fault | undefined {
  try {
    check();
    return undefined;
  } catch (error) {
    if (!(error instanceof SourceError)) throw error;
    assert.ok(error.message.includes(URL), error.message);
    return error.fault;
  }
}

describe('a status', () => {
  const rows: readonly [status: number, kind: Fault['kind'] | undefined][] = [
    [200, undefined],
    [206, undefined],
    [204, 'protocol'],
    [304, 'redirect'],
    [302, 'redirect'],
    [400, 'protocol'],
    [401, 'not-allowed'],
    [403, 'not-allowed'],
    [404, 'not-found'],
    [407, 'not-allowed'],
    [410, 'not-found'],
    [416, 'wrong-range'],
    [429, 'unavailable'],
    [500, 'unavailable'],
    [503, 'unavailable'],
    [599, 'unavailable'],
  ];
  for (const [status, kind] of rows) {
    test(`of ${status} is ${kind ?? 'fine'}`, () => {
      assert.equal(fault(() => refuseStatus(head(status), URL))?.kind, kind);
    });
  }

  test('of 503 brings its Retry-After along', () => {
    const answer = head(503, { 'retry-after': '7' });
    assert.deepEqual(
      fault(() => refuseStatus(answer, URL)),
      { kind: 'unavailable', retryAfter: 7000 },
    );
  });
});

describe('Retry-After', () => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  const rows: readonly [header: string | undefined, milliseconds: number | undefined][] = [
    [undefined, undefined],
    ['0', 0],
    ['120', 120_000],
    [' 5 ', 5_000],
    ['Thu, 01 Jan 2026 00:00:30 GMT', 30_000],
    ['Thu, 01 Jan 2015 00:00:30 GMT', 0],
    ['soon', undefined],
    ['', undefined],
  ];
  for (const [header, milliseconds] of rows) {
    test(`${JSON.stringify(header)} is ${milliseconds} ms`, () => {
      assert.equal(retryAfter(header, now), milliseconds);
    });
  }
});

test('only content as it is is taken', () => {
  assert.equal(
    fault(() => refuseEncoding(head(206), URL)),
    undefined,
  );
  assert.equal(
    fault(() => refuseEncoding(head(206, { 'content-encoding': 'Identity' }), URL)),
    undefined,
  );
  assert.equal(fault(() => refuseEncoding(head(206, { 'content-encoding': 'gzip' }), URL))?.kind, 'protocol');
});

describe('a part', () => {
  const before: Validators = { size: 1000, etag: '"a"', lastModified: 'Mon' };
  const asked = { start: 100, end: 200 };
  const good = { etag: '"a"', 'content-range': 'bytes 100-199/1000', 'content-length': '100' };
  const rows: readonly [
    name: string,
    status: number,
    fields: Record<string, string>,
    kind: Fault['kind'] | undefined,
  ][] = [
    ['as it was asked for', 206, good, undefined],
    ['of unknown total', 206, { ...good, 'content-range': 'bytes 100-199/*' }, undefined],
    ['without a length', 206, { etag: '"a"', 'content-range': 'bytes 100-199/1000' }, undefined],
    ['that is the whole', 200, { etag: '"a"' }, 'no-ranges'],
    ['without Content-Range', 206, { etag: '"a"' }, 'wrong-range'],
    ['with half a Content-Range', 206, { ...good, 'content-range': 'bytes 100-/1000' }, 'wrong-range'],
    ['in another unit', 206, { ...good, 'content-range': 'lines 100-199/1000' }, 'wrong-range'],
    ['that begins a byte late', 206, { ...good, 'content-range': 'bytes 101-199/1000' }, 'wrong-range'],
    ['that ends a byte early', 206, { ...good, 'content-range': 'bytes 100-198/1000' }, 'wrong-range'],
    ['that ends a byte late', 206, { ...good, 'content-range': 'bytes 100-200/1000' }, 'wrong-range'],
    ['of another length than its range', 206, { ...good, 'content-length': '99' }, 'wrong-range'],
    ['of a longer file', 206, { ...good, 'content-range': 'bytes 100-199/1001' }, 'changed'],
    ['with another ETag', 206, { ...good, etag: '"b"' }, 'changed'],
    [
      'with no ETag any more',
      206,
      { 'content-range': 'bytes 100-199/1000', 'content-length': '100' },
      'changed',
    ],
    ['with the same ETag and another date', 206, { ...good, 'last-modified': 'Tue' }, undefined],
    ['that is refused', 403, {}, 'not-allowed'],
    ['that is compressed', 206, { ...good, 'content-encoding': 'br' }, 'protocol'],
  ];
  for (const [name, status, fields, kind] of rows) {
    test(`${name} is ${kind ?? 'taken'}`, () => {
      assert.equal(fault(() => checkPart(head(status, fields), asked, before, URL))?.kind, kind);
    });
  }

  test('without an ETag, another date is a change', () => {
    const dated = { size: 1, etag: undefined, lastModified: 'Mon' };
    assert.equal(
      fault(() => checkUnchanged(dated, dated, URL)),
      undefined,
    );
    assert.equal(fault(() => checkUnchanged({ ...dated, lastModified: 'Tue' }, dated, URL))?.kind, 'changed');
  });
});

test('errors of the transport are faults of the source; others are not', () => {
  const rows = [
    ['HW_CONNECT', 'connect'],
    ['HW_TLS', 'tls'],
    ['HW_PROTOCOL', 'protocol'],
    ['HW_NOT_ALLOWED', 'not-allowed'],
    ['HW_USAGE', undefined],
    ['HW_INTERRUPTED', undefined],
  ] as const;
  for (const [code, kind] of rows) {
    const cause = new HeadwaterError(code, 'so it is');
    const error = sourceError(cause);
    assert.equal(error?.fault.kind, kind);
    if (error !== undefined) assert.deepEqual([error.message, error.cause], ['so it is', cause]);
  }
  assert.equal(sourceError(new Error('x')), undefined);
  const own = new SourceError({ kind: 'silent' }, 'quiet');
  assert.equal(sourceError(own), own);
});
