import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import {
  anyText,
  duration,
  header,
  hosts,
  interval,
  ports,
  rate,
  sha256,
  wholeNumber,
} from '../../../src/cli/option-kinds.ts';

describe('a rate', () => {
  for (const [text, bytes] of [
    ['1', 1],
    ['500K', 500 * 1024],
    ['20M', 20 * 1024 ** 2],
    ['20m', 20 * 1024 ** 2],
    ['20MB', 20 * 1024 ** 2],
    ['20MiB/s', 20 * 1024 ** 2],
    ['1.5G', 1.5 * 1024 ** 3],
    ['2T', 2 * 1024 ** 4],
  ] as const) {
    test(`${text} is ${bytes} bytes a second`, () => assert.equal(rate.read(text), bytes));
  }
  for (const text of [
    '',
    '0',
    '0.1',
    '-1',
    '20Q',
    'M',
    '20 M',
    '1e6',
    '0x10',
    '20M/h',
    '99999999999999T',
    'Infinity',
  ]) {
    test(`"${text}" is none`, () => assert.equal(rate.read(text), undefined));
  }
});

describe('a duration', () => {
  for (const [text, seconds] of [
    ['90', 90],
    ['90s', 90],
    ['1.5s', 1.5],
    ['250ms', 0.25],
    ['5m', 300],
    ['5min', 300],
    ['1h', 3600],
    ['2d', 172_800],
    ['never', Infinity],
  ] as const) {
    test(`${text} is ${seconds} seconds`, () => assert.equal(duration.read(text), seconds));
  }
  for (const text of ['', '0', '0s', '-5', '5 m', '5x', 'ever', 'Infinity', '1e3', '1h30m']) {
    test(`"${text}" is none`, () => assert.equal(duration.read(text), undefined));
  }
});

describe('a header field', () => {
  test('is a name and a value without white space around it', () => {
    assert.deepEqual(header.read('X-Token:  abc '), ['X-Token', 'abc']);
    assert.deepEqual(header.read('Accept-Language: de, en;q=0.5'), ['Accept-Language', 'de, en;q=0.5']);
    assert.deepEqual(header.read('X-Empty:'), ['X-Empty', '']);
  });
  for (const text of [
    '',
    'no colon',
    ': value',
    'a b: c',
    'A: x\r\nB: y',
    'A: x\ny',
    'A: \0',
    'A: ☃',
    'Näme: x',
  ]) {
    test(`${JSON.stringify(text)} is none`, () => assert.equal(header.read(text), undefined));
  }
  for (const name of [
    'Host',
    'range',
    'IF-RANGE',
    'Accept-Encoding',
    'Transfer-Encoding',
    'Content-Length',
  ]) {
    test(`${name} is the program's own`, () => assert.equal(header.read(`${name}: x`), undefined));
  }
  test('a wrong one is shown without its value, which may be a secret', () => {
    assert.equal(header.show?.('Authorization: Bearer s3cret\r\n'), 'Authorization: …');
  });
});

test('a whole number stays within its limits', () => {
  const kind = wholeNumber(1, 64);
  assert.equal(kind.read('1'), 1);
  assert.equal(kind.read('64'), 64);
  for (const text of ['0', '65', '-1', '1.5', '', 'x', '1e1', ' 4', '99999999999999999999']) {
    assert.equal(kind.read(text), undefined, text);
  }
});

test('an interval may be a part of a second', () => {
  assert.equal(interval.read('0.5'), 0.5);
  for (const text of ['0', '0.01', '-1', 'x', '1e1', '86401'])
    assert.equal(interval.read(text), undefined, text);
});

test('ports are separated by commas', () => {
  assert.deepEqual(ports(1).read('8080'), [8080]);
  assert.deepEqual(ports(1).read('8080, 8081,65535'), [8080, 8081, 65_535]);
  assert.deepEqual(ports(0).read('0'), [0]);
  for (const text of ['', '0', '65536', '80,', ',80', '80;81', 'http']) {
    assert.equal(ports(1).read(text), undefined, text);
  }
});

test('hosts are separated by commas', () => {
  assert.deepEqual(hosts.read('a, b:81,::1'), ['a', 'b:81', '::1']);
  for (const text of ['', 'a,', ',a', 'a,,b']) assert.equal(hosts.read(text), undefined, text);
});

test('a digest is 64 hex digits in any case', () => {
  assert.equal(sha256.read('AB'.repeat(32)), 'ab'.repeat(32));
  for (const text of ['', 'ab'.repeat(31), 'ab'.repeat(33), 'xy'.repeat(32)]) {
    assert.equal(sha256.read(text), undefined, text);
  }
});

test('an empty text is no text', () => assert.equal(anyText('a file').read(''), undefined));
