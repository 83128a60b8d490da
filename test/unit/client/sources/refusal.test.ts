import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { Refusal } from '../../../../src/client/sources/refusal.ts';
import type { SourceError } from '../../../../src/client/sources/fault.ts';
import type { ResponseHead } from '../../../../src/transport/connection.ts';

const SHOWN = 'http://a.example/f';

function head(status: number, body: Uint8Array, fields: Readonly<Record<string, string>> = {}): ResponseHead {
  const all = { 'content-type': 'application/json; charset=utf-8', 'content-length': String(body.length) };
  return { status, headers: new Map(Object.entries({ ...all, ...fields })) };
}

/** What follows from an answer whose body comes in pieces of so many bytes. */
function refused(
  status: number,
  said: unknown,
  fields: Readonly<Record<string, string>> = {},
  piece = Infinity,
): SourceError {
  const body = Buffer.from(typeof said === 'string' ? said : JSON.stringify(said));
  const refusal = Refusal.of(head(status, body, fields), SHOWN);
  assert.ok(refusal !== undefined);
  for (let at = 0; at < body.length;) {
    const memory = refusal.buffer();
    const length = Math.min(memory.length, body.length - at, piece);
    memory.set(body.subarray(at, at + length));
    refusal.received(length);
    at += length;
  }
  return refusal.error;
}

describe('a refusal of a Headwater server', () => {
  for (const [code, status, kind] of [
    ['HW_TOKEN_EXPIRED', 401, 'expired'],
    ['HW_TOKEN_MISSING', 401, 'not-allowed'],
    ['HW_GRANT_REVOKED', 403, 'revoked'],
    ['HW_GRANT_OTHER_FILE', 403, 'not-allowed'],
    ['HW_NOT_HERE', 404, 'not-here'],
    ['HW_NOT_FOUND', 404, 'not-found'],
    ['HW_UNAVAILABLE', 503, 'unavailable'],
    ['constructor', 404, 'not-found'],
  ] as const) {
    test(`${status} ${code} means: ${kind}`, () => {
      const error = refused(status, { code, message: 'why', details: {} });
      assert.equal(error.fault.kind, kind);
      assert.equal(error.message, `${SHOWN} answers ${status}: why`);
    });
  }

  test('is read as it comes, byte by byte', () => {
    assert.equal(refused(404, { code: 'HW_NOT_HERE', message: '' }, {}, 1).fault.kind, 'not-here');
  });

  test('keeps what the head says of when to come back', () => {
    const error = refused(503, { code: 'HW_UNAVAILABLE', message: 'paused' }, { 'retry-after': '7' });
    assert.deepEqual(error.fault, { kind: 'unavailable', retryAfter: 7_000 });
  });

  test('says nothing more than the status where it is not what was expected', () => {
    for (const said of ['{', 'null', '[]', '{"code":1,"message":2}', '"HW_NOT_HERE"']) {
      const error = refused(404, said);
      assert.equal(error.fault.kind, 'not-found');
      assert.equal(error.message, `${SHOWN} answers 404`);
    }
  });

  test('cannot play tricks on a terminal, nor fill it', () => {
    const { message } = refused(403, { code: 'X', message: `\u001b[2Ja\u202eb\n${'x'.repeat(1_000)}` });
    assert.match(message, /: \[2Ja b x+$/);
    assert.ok(message.length < 400);
  });

  test('is not read where it is long, of unknown length or no JSON', () => {
    const body = Buffer.from('{}');
    for (const fields of [
      { 'content-length': String(1024 * 1024) },
      { 'content-length': 'x' },
      { 'content-length': '0' },
      { 'content-type': 'text/html' },
    ])
      assert.equal(Refusal.of(head(404, body, fields), SHOWN), undefined);
    assert.equal(Refusal.of(head(206, body), SHOWN), undefined);
    assert.equal(Refusal.of(head(302, body), SHOWN), undefined);
  });

  test('that breaks off tells what the status does', () => {
    const body = Buffer.from(JSON.stringify({ code: 'HW_NOT_HERE', message: 'not here' }));
    const refusal = Refusal.of(head(404, body), SHOWN);
    refusal?.buffer().set(body.subarray(0, 10));
    refusal?.received(10);
    assert.equal(refusal?.error.fault.kind, 'not-found');
  });
});
