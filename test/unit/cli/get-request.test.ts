import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

import { readGetRequest } from '../../../src/cli/get-request.ts';

const folder = mkdtempSync(join(tmpdir(), 'headwater-'));
after(() => rmSync(folder, { recursive: true }));
const URLS = ['http://a.example/f', 'https://b.example/f'];
const PLAIN = { interval: 1, resume: true } as const;

test('what was not said is left to the library', () => {
  assert.deepEqual(readGetRequest(URLS, PLAIN), {
    sources: URLS,
    file: undefined,
    zone: undefined,
    output: undefined,
    interval: 1,
    report: undefined,
    print: 'progress',
    download: { headers: {}, tls: { insecure: false }, resume: true, force: false },
  });
});

test('everything that was said arrives', () => {
  const pem = join(folder, 'ca.pem');
  writeFileSync(pem, '-----BEGIN CERTIFICATE-----\n');
  const request = readGetRequest(URLS, {
    interval: 0.5,
    resume: false,
    force: true,
    output: '-',
    json: true,
    sha256: 'ab'.repeat(32),
    manifest: 'https://c.example/m',
    connections: 3,
    limit: 5,
    timeout: Infinity,
    header: [
      ['X-A', '1'],
      ['x-a', '2'],
      ['Cookie', 'a=1'],
      ['cookie', 'b=2'],
    ],
    ca: pem,
    cert: pem,
    key: pem,
    insecure: true,
    report: join(folder, 'r.json'),
  });
  const text = '-----BEGIN CERTIFICATE-----\n';
  assert.deepEqual(request.download, {
    sha256: 'ab'.repeat(32),
    manifest: new URL('https://c.example/m'),
    connections: 3,
    limit: 5,
    timeout: Infinity,
    headers: { 'X-A': '1, 2', Cookie: 'a=1; b=2' },
    tls: { ca: text, cert: text, key: text, insecure: true },
    resume: false,
    force: true,
  });
  assert.equal(request.print, 'json');
  assert.equal(request.output, '-');
});

test('a manifest that is no URL is a path', () => {
  assert.equal(readGetRequest(URLS, { ...PLAIN, manifest: 'm.json' }).download.manifest, 'm.json');
});

test('a name with hosts and ports becomes URLs', () => {
  assert.deepEqual(readGetRequest(['f'], { ...PLAIN, address: ['a'], port: [1, 2] }).sources, [
    'http://a:1/f',
    'http://a:2/f',
  ]);
});

test('a source said twice is one, whatever follows the #', () => {
  const { sources } = readGetRequest(['http://a/f', 'http://A/f#x', 'http://b/f'], PLAIN);
  assert.deepEqual(sources, ['http://a/f', 'http://b/f']);
});

const WRONG: readonly [string, readonly string[], object, RegExp][] = [
  ['no source', [], {}, /^SOURCE is missing/],
  ['no name', [], { address: ['a'] }, /^NAME is missing/],
  ['a name without hosts', ['f'], {}, /^SOURCE takes a URL/],
  ['a scheme that is not HTTP', ['ftp://a/f'], {}, /^SOURCE takes a URL/],
  ['a URL with hosts', ['http://a/f'], { address: ['a'] }, /^NAME takes a file's name/],
  ['two names', ['f', 'g'], { address: ['a'] }, /^NAME takes one name/],
  ['ports without hosts', URLS, { port: [1] }, /^--port needs --address/],
  ['a certificate without its key', URLS, { cert: 'x' }, /^--cert and --key/],
  ['a key without its certificate', URLS, { key: 'x' }, /^--cert and --key/],
  ['a PEM file that is not there', URLS, { ca: '/nowhere/ca.pem' }, /^--ca takes a PEM file.*ENOENT/],
  ['a PEM file that is none', URLS, { ca: '/dev/null' }, /^--ca takes a PEM file/],
  ['a report in no folder', URLS, { report: '/nowhere/r.json' }, /^--report takes a file in a folder/],
];
for (const [what, words, raw, message] of WRONG) {
  test(`refused: ${what}`, () => {
    assert.throws(() => readGetRequest(words, { ...PLAIN, ...raw }), { code: 'HW_USAGE', message });
  });
}

test('a password in a wrong URL is not shown', () => {
  assert.throws(
    () => readGetRequest(['ftp://me:pw@a/f'], PLAIN),
    (error: Error) => !error.message.includes('pw') && error.message.includes('***@a/f'),
  );
});
