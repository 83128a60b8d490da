import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Addresses, fleetAddress } from '../../../src/client/fleet/addresses.ts';

test('an address without a scheme is http on this machine and https elsewhere', () => {
  assert.equal(fleetAddress('127.0.0.1:8080').href, 'http://127.0.0.1:8080/');
  assert.equal(fleetAddress('localhost').href, 'http://localhost/');
  assert.equal(fleetAddress('fleet.example').href, 'https://fleet.example/');
  assert.equal(fleetAddress('http://fleet.example/below?x#y').href, 'http://fleet.example/below/');
});

test('what is no address of a fleet is refused, without repeating a password', () => {
  for (const text of ['', 'ftp://a', 'http://', 'http://u:secret@a.example'])
    assert.throws(() => fleetAddress(text), { code: 'HW_USAGE', message: /^(?!.*secret)/ }, text);
});

test('no address is learned that has no TLS where TLS was given, nor one of the machine itself', () => {
  const told = ['https://b.example', 'http://c.example', 'http://127.0.0.1:8080', 'https://localhost'];
  const secure = new Addresses(['https://a.example']);
  secure.learn(told);
  assert.deepEqual(
    secure.inOrder.map(({ href }) => href),
    ['https://a.example/', 'https://b.example/'],
  );
  const plain = new Addresses(['http://a.example']);
  plain.learn(told);
  assert.deepEqual(
    plain.inOrder.map(({ href }) => href),
    ['http://a.example/', 'https://b.example/', 'http://c.example/'],
  );
});

test('what is told later replaces what was told before, but never what was given', () => {
  const addresses = new Addresses(['https://a.example']);
  addresses.learn(['https://b.example']);
  addresses.prefer(new URL('https://b.example/'));
  addresses.learn(['https://c.example']);
  assert.deepEqual(
    addresses.inOrder.map(({ href }) => href),
    ['https://b.example/', 'https://a.example/', 'https://c.example/'],
  );
});
