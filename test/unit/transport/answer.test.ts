import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import * as fc from 'fast-check';

import { Answer } from '../../../src/transport/answer.ts';
import { BrokenAnswer } from '../../../src/transport/broken-answer.ts';
import { MOST_CHUNK_LINE_BYTES, MOST_TRAILER_BYTES } from '../../../src/transport/chunked-framing.ts';
import type { Request } from '../../../src/transport/connection.ts';
import { MOST_HEAD_BYTES } from '../../../src/transport/head-reader.ts';
import { Collector } from './collector.ts';

interface Result {
  readonly answer: Answer;
  readonly collector: Collector;
  /** Bytes left over. */
  readonly rest: number;
}

/** Feeds an answer in pieces of the sizes given, over and over. */
function fed(
  bytes: Uint8Array | string,
  sizes: readonly number[] = [Infinity],
  method: Request['method'] = 'GET',
  bufferSize = 100,
): Result {
  const wire = Buffer.from(bytes);
  const collector = new Collector(bufferSize);
  const answer = new Answer(method, collector);
  let at = 0;
  for (let i = 0; at < wire.length && !answer.done; i++) {
    const piece = wire.subarray(at, at + (sizes[i % sizes.length] ?? Infinity));
    const input = { bytes: piece, at: 0 };
    answer.feed(input);
    at += input.at;
    assert.ok(answer.done || input.at === piece.length, 'takes everything until it is done');
  }
  return { answer, collector, rest: wire.length - at };
}

function header(result: Result, name: string): string | undefined {
  return result.collector.arrived?.headers.get(name);
}

const anyBody = fc.uint8Array({ maxLength: 600 }).map((bytes) => Buffer.from(bytes));

function chunkedBytes(body: Buffer, sizes: readonly number[], adornment: string, trailers: string): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0, i = 0; at < body.length; i++) {
    const part = body.subarray(at, at + (sizes[i % sizes.length] ?? 1));
    parts.push(Buffer.from(`${part.length.toString(16)}${adornment}\r\n`), part, Buffer.from('\r\n'));
    at += part.length;
  }
  return Buffer.concat([...parts, Buffer.from(`0${adornment}\r\n${trailers}\r\n`)]);
}

describe('an answer', () => {
  it('is the same however its bytes are cut', () => {
    fc.assert(
      fc.property(
        anyBody,
        fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1 }),
        fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1 }),
        fc.constantFrom('length', 'chunked'),
        fc.constantFrom('', ';a', ' ; name="va;lue"'),
        fc.constantFrom('', 'Digest: 1\r\n', 'A: b\r\nC: d\r\n'),
        fc.constantFrom('\r\n', '\n'),
        fc.constantFrom('', 'HTTP/1.1 100 Continue\n\n', 'HTTP/1.1 103 Early\r\nContent-Length: 3\r\n\r\n'),
        fc.integer({ min: 1, max: 300 }),
        (body, cuts, chunks, kind, adornment, trailers, end, interim, bufferSize) => {
          const field = kind === 'length' ? `Content-Length: ${body.length}` : 'Transfer-Encoding: chunked';
          const head = `${interim}HTTP/1.1 206 Partial Content${end}X-Name:  some value ${end}${field}${end}${end}`;
          const payload = kind === 'length' ? body : chunkedBytes(body, chunks, adornment, trailers);
          const wire = Buffer.concat([Buffer.from(head), payload, Buffer.from('HTTP/1.1')]);
          const result = fed(wire, cuts, 'GET', bufferSize);
          assert.equal(result.answer.done, true);
          assert.equal(result.rest, 8, 'takes nothing of what follows');
          assert.equal(result.collector.status, 206);
          assert.equal(header(result, 'x-name'), 'some value');
          assert.deepEqual(result.collector.body, body);
          assert.equal(result.answer.reusable, true);
        },
      ),
    );
  });

  it('is the same byte by byte', () => {
    const body = Buffer.from('a body of some length, in two chunks');
    const wire = `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunkedBytes(body, [20], ';x=1', 'T: t\r\n').toString()}`;
    const result = fed(wire, [1]);
    assert.equal(result.answer.done, true);
    assert.deepEqual(result.collector.body, body);
  });

  it('reads body bytes straight into memory, never past what the framing allows', () => {
    const collector = new Collector(1000);
    const answer = new Answer('GET', collector);
    assert.equal(answer.memory(), undefined, 'no memory before the head');
    answer.feed({ bytes: Buffer.from('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na'), at: 0 });
    assert.equal(answer.inBody, true);
    const memory = answer.memory();
    assert.equal(memory?.length, 2);
    memory.set(Buffer.from('bc'));
    answer.landed(2);
    assert.equal(answer.memory(), undefined, 'framing comes next');
    answer.feed({ bytes: Buffer.from('\r\n0\r\n\r\n'), at: 0 });
    assert.equal(answer.done, true);
    assert.equal(collector.body.toString(), 'abc');
  });

  it('hands over nothing while it is held', () => {
    const collector = new Collector();
    const answer = new Answer('GET', collector);
    answer.held = true;
    const input = { bytes: Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd'), at: 0 };
    answer.feed(input);
    assert.equal(collector.status, 200);
    assert.equal(input.bytes.length - input.at, 4);
    assert.equal(answer.memory(), undefined);
    answer.held = false;
    answer.feed(input);
    assert.equal(collector.body.toString(), 'abcd');
  });
});

describe('the head of an answer', () => {
  it('takes a hundred and more fields', () => {
    const fields = Array.from({ length: 300 }, (_, i) => `X-Field-${i}: value ${i}\r\n`).join('');
    const result = fed(`HTTP/1.1 200 OK\r\n${fields}Content-Length: 0\r\n\r\n`);
    assert.equal(header(result, 'x-field-299'), 'value 299');
  });

  it('joins repeated fields and folded lines, and knows names in any case', () => {
    const result = fed(
      'HTTP/1.1 200\r\nLINK: <a>\r\nX-Long: one\r\n\t two  \r\nlink:<b>\t\r\nX-Empty:\r\nContent-Length: 0\r\n\r\n',
    );
    assert.equal(header(result, 'link'), '<a>, <b>');
    assert.equal(header(result, 'x-long'), 'one two');
    assert.equal(header(result, 'x-empty'), '');
  });

  it('keeps bytes past ASCII as they are', () => {
    const wire = Buffer.from('HTTP/1.1 200 caf\xe9\r\nX-Name: \xe9\r\nContent-Length: 0\r\n\r\n', 'latin1');
    assert.equal(header(fed(wire), 'x-name'), '\u00e9');
  });

  const broken: Record<string, string> = {
    'another protocol': 'SSH-2.0-OpenSSH_9.2\r\n',
    'HTTP/2': 'HTTP/2 200 OK\r\n',
    'no status': 'HTTP/1.1 OK\r\n',
    'a status of four digits': 'HTTP/1.1 2000 OK\r\n',
    'a status below 100': 'HTTP/1.1 099 OK\r\n',
    'an empty first line': '\r\nHTTP/1.1 200 OK\r\n',
    'an upgrade nobody asked for': 'HTTP/1.1 101 Switching Protocols\r\n\r\n',
    'a line without colon': 'HTTP/1.1 200 OK\r\nno colon here\r\n',
    'a space before the colon': 'HTTP/1.1 200 OK\r\nContent-Length : 5\r\n',
    'a name with a space': 'HTTP/1.1 200 OK\r\nbad name: 5\r\n',
    'an empty name': 'HTTP/1.1 200 OK\r\n: 5\r\n',
    'a folded first line': 'HTTP/1.1 200 OK\r\n folded: 5\r\n',
    'a NUL': 'HTTP/1.1 200 OK\r\nName: a\0b\r\n',
    'a CR within a line': 'HTTP/1.1 200 OK\r\nName: a\rb: c\r\n',
    'two lengths': 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n',
    'two lengths in a list': 'HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\n',
    'a negative length': 'HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n',
    'a length with a sign': 'HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n',
    'a hexadecimal length': 'HTTP/1.1 200 OK\r\nContent-Length: 0x10\r\n\r\n',
    'a length past 2^53': 'HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999\r\n\r\n',
    'an empty length': 'HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n',
    'a compressed transfer coding': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n',
    'chunked twice': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n',
  };
  for (const [what, wire] of Object.entries(broken)) {
    it(`is refused with ${what}`, () => {
      assert.throws(() => fed(wire), BrokenAnswer);
      assert.throws(() => fed(wire, [1]), BrokenAnswer);
    });
  }

  it('is refused when it does not end', () => {
    const filler = `X-Filler: ${'x'.repeat(1000)}\r\n`;
    const fits = filler.repeat(60);
    assert.equal(fed(`HTTP/1.1 200 OK\r\n${fits}Content-Length: 0\r\n\r\n`).answer.done, true);
    assert.throws(() => fed(`HTTP/1.1 200 OK\r\n${filler.repeat(70)}`, [700]), /longer than 65536 bytes/);
    assert.throws(() => fed(`HTTP/1.1 ${'x'.repeat(MOST_HEAD_BYTES)}`, [4096]), BrokenAnswer, 'one line');
    assert.throws(() => fed('HTTP/1.1 100 Continue\r\n\r\n'.repeat(4000)), BrokenAnswer, 'interim heads');
  });
});

describe('the length of a body', () => {
  it('is none for HEAD, 204 and 304, whatever the head says', () => {
    const fields = 'Content-Length: 5\r\n\r\n';
    for (const [method, status] of [
      ['HEAD', 200],
      ['GET', 204],
      ['GET', 304],
    ] as const) {
      const result = fed(`HTTP/1.1 ${status} X\r\n${fields}12345`, [Infinity], method);
      assert.equal(result.answer.done, true);
      assert.equal(result.rest, 5);
    }
  });

  it('counts once when it is repeated', () => {
    assert.equal(
      fed('HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\nContent-Length: 2\r\n\r\nab').answer.done,
      true,
    );
  });

  it('is overruled by chunks, and the connection then ends', () => {
    const wire =
      'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n';
    const result = fed(wire);
    assert.equal(result.collector.body.toString(), 'ab');
    assert.equal(result.answer.reusable, false);
  });

  it('is open until the server closes when nothing tells it', () => {
    const { answer, collector } = fed('HTTP/1.1 200 OK\r\n\r\nas long as it lasts');
    assert.equal(answer.done, false);
    assert.equal(answer.close(), undefined);
    assert.equal(answer.done, true);
    assert.equal(answer.reusable, false);
    assert.equal(collector.body.toString(), 'as long as it lasts');
  });

  it('says what is missing when the server closes before', () => {
    assert.equal(fed('').answer.close(), 'without an answer');
    assert.equal(fed('HTTP/1.1 200 OK\r\nA: b').answer.close(), 'within the head');
    assert.equal(fed('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab').answer.close(), '3 bytes early');
    const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n';
    assert.equal(fed(chunked).answer.close(), 'before the last chunk');
  });
});

describe('chunks', () => {
  const HEAD = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
  const broken: Record<string, string> = {
    'a size that is no number': 'x\r\n',
    'no size': '\r\n',
    'a negative size': '-1\r\n',
    'a size past 2^53': 'ffffffffffffff\r\n',
    'more data than their size': '1\r\nab\r\n',
    'an extension that never ends': `1;${'x'.repeat(MOST_CHUNK_LINE_BYTES)}`,
    'trailers that never end': `0\r\n${'X-Trailer: value\r\n'.repeat(MOST_TRAILER_BYTES / 17)}`,
  };
  for (const [what, wire] of Object.entries(broken)) {
    it(`are refused with ${what}`, () => {
      assert.throws(() => fed(HEAD + wire), BrokenAnswer);
      assert.throws(() => fed(HEAD + wire, [1]), BrokenAnswer);
    });
  }
});

describe('a connection after an answer', () => {
  const reusable = (head: string): boolean => fed(`${head}\r\nContent-Length: 0\r\n\r\n`).answer.reusable;

  it('stays open in HTTP/1.1 unless the server says close', () => {
    assert.equal(reusable('HTTP/1.1 200 OK'), true);
    assert.equal(reusable('HTTP/1.1 200 OK\r\nConnection: Close'), false);
    assert.equal(reusable('HTTP/1.1 200 OK\r\nConnection: x\r\nConnection: y, close'), false);
  });

  it('ends in HTTP/1.0 unless the server says keep-alive', () => {
    assert.equal(reusable('HTTP/1.0 200 OK'), false);
    assert.equal(reusable('HTTP/1.0 200 OK\r\nConnection: Keep-Alive'), true);
  });
});
