import assert from 'node:assert/strict';
import { test } from 'node:test';

import { sourceUrls } from '../../../src/cli/host-and-port.ts';

test('one host on several ports', () => {
  assert.deepEqual(sourceUrls('big.iso', ['192.0.2.7'], [8080, 8081]), [
    'http://192.0.2.7:8080/big.iso',
    'http://192.0.2.7:8081/big.iso',
  ]);
});

test('every host is asked on every port, also where there are as many of each', () => {
  assert.deepEqual(sourceUrls('f', ['a', 'b'], [1, 2]), [
    'http://a:1/f',
    'http://a:2/f',
    'http://b:1/f',
    'http://b:2/f',
  ]);
});

test('a host with a port of its own is asked on that one alone', () => {
  assert.deepEqual(sourceUrls('f', ['a:9', 'b', '[::1]:7', '::1'], [1]), [
    'http://a:9/f',
    'http://b:1/f',
    'http://[::1]:7/f',
    'http://[::1]:1/f',
  ]);
});

test('a host said twice is one source', () => {
  assert.deepEqual(sourceUrls('f', ['127.0.0.1', '127.0.0.1'], [8080, 8081]), [
    'http://127.0.0.1:8080/f',
    'http://127.0.0.1:8081/f',
  ]);
});

test('without ports it is the port that serve takes', () => {
  assert.deepEqual(sourceUrls('f', ['a'], undefined), ['http://a:8080/f']);
});

test('a name is taken as it is written, segment by segment', () => {
  const url = (name: string): string | undefined => sourceUrls(name, ['a'], [1])[0];
  assert.equal(url('a b/ü#?%20.iso'), 'http://a:1/a%20b/%C3%BC%23%3F%2520.iso');
  assert.equal(url('/folder/f'), 'http://a:1/folder/f');
});

for (const name of ['', '/', '.', '..', '../f', 'a/../f', 'a/./f', '\ud800']) {
  test(`${JSON.stringify(name)} is no name`, () => {
    assert.throws(() => sourceUrls(name, ['a'], [1]), { code: 'HW_USAGE', message: /^NAME takes/ });
  });
}

for (const host of [
  'a:0',
  'a:65536',
  'a:x',
  'http://a',
  'a/b',
  'a b',
  'u@a',
  '[::1',
  'a:',
  '1.2.3.4.5:80x',
]) {
  test(`${JSON.stringify(host)} is no host`, () => {
    assert.throws(() => sourceUrls('f', [host], [1]), { code: 'HW_USAGE', message: /^--address takes/ });
  });
}
