import assert from 'node:assert/strict';
import { test } from 'node:test';

import { dispositionName, urlName } from '../../../../src/client/sources/disposition.ts';

const latin1 = (text: string): string => Buffer.from(text).toString('latin1');

const HEADERS: readonly [header: string, name: string | undefined][] = [
  ['attachment; filename=plain.iso', 'plain.iso'],
  ['attachment; filename="two words.iso"', 'two words.iso'],
  ['attachment; filename="a \\"quoted\\" one"', 'a "quoted" one'],
  ['attachment; filename="x"; filename*=UTF-8\'\'k%C5%AF%C5%88.iso', 'kůň.iso'],
  ["attachment; filename*=utf-8'cs'k%C5%AF%C5%88.iso; filename=x", 'kůň.iso'],
  [latin1('attachment; filename="kůň.iso"'), 'kůň.iso'],
  ['attachment; filename="na\xefve.txt"', 'naïve.txt'],
  ['inline', undefined],
  ['attachment; filename=""', undefined],
  ['attachment; filename=".."', undefined],
  ['attachment; filename="../../etc/passwd"', 'passwd'],
  ['attachment; filename="C:\\\\Windows\\\\evil.exe"', 'evil.exe'],
  ["attachment; filename*=UTF-8''..%2F..%2Fetc%2Fpasswd", 'passwd'],
  ['attachment; filename=".bashrc"', 'bashrc'],
  ['attachment; filename="a\u0007b\u001b[31m.txt"', 'ab[31m.txt'],
  ["attachment; filename*=UTF-8''photo%E2%80%AEgpj.exe", 'photogpj.exe'],
  ["attachment; filename*=UTF-8''bad%ZZ.txt", 'bad%ZZ.txt'],
];

for (const [header, name] of HEADERS) {
  test(`Content-Disposition ${JSON.stringify(header)} names ${name ?? 'nothing'}`, () => {
    assert.equal(dispositionName(header), name);
  });
}

test('no header names nothing', () => {
  assert.equal(dispositionName(undefined), undefined);
});

test('a name too long for file systems is cut before its ending', () => {
  const name = dispositionName(`attachment; filename="${'é'.repeat(200)}.tar.gz"`) ?? '';
  assert.equal(Buffer.byteLength(name), 199);
  assert.match(name, /^é+\.gz$/);
  assert.equal(dispositionName(`attachment; filename="${'x'.repeat(300)}"`), 'x'.repeat(200));
  assert.equal(dispositionName(`attachment; filename="a.${'x'.repeat(300)}"`)?.length, 200);
});

const ADDRESSES: readonly [url: string, name: string | undefined][] = [
  ['http://a.example/dir/file.iso?x=1#y', 'file.iso'],
  ['http://a.example/two%20words.iso', 'two words.iso'],
  ['http://a.example/', undefined],
  ['http://a.example', undefined],
  ['http://a.example/%2e%2e', undefined],
  ['http://a.example/x%2Fy', 'y'],
  ['http://a.example/100%', '100%'],
];

for (const [url, name] of ADDRESSES) {
  test(`${url} names ${name ?? 'nothing'}`, () => {
    assert.equal(urlName(new URL(url)), name);
  });
}
