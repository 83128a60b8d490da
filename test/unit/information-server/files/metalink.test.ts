import assert from 'node:assert/strict';
import { test } from 'node:test';

import { assert as hold, property, string } from 'fast-check';

import { isFileName } from '../../../../src/core/api/common.ts';
import type { Manifest } from '../../../../src/core/manifest.ts';
import { metalinkName, metalinkOf } from '../../../../src/information-server/files/metalink.ts';

const MANIFEST: Manifest = {
  version: 1,
  size: 5,
  chunkSize: 4,
  sha256: 'a'.repeat(64),
  chunks: ['b'.repeat(64), 'c'.repeat(64)],
};
const SOURCE = {
  id: 'i',
  name: 'n',
  zone: 'de-a',
  url: 'http://h/v1/files/x',
  state: 'running',
  has: 'all',
} as const;

/** Reads XML as strictly as this text needs: elements, attributes in double quotes, text, the five entities. */
function read(
  xml: string,
): { readonly path: string; readonly attributes: Record<string, string>; readonly text: string }[] {
  // Characters that XML 1.0 has (2.2).
  for (const character of xml)
    assert.match(character, /[\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u);
  let rest = xml.replace(/^<\?xml version="1.0" encoding="UTF-8"\?>\n/, '');
  assert.notEqual(rest, xml);
  const decode = (text: string): string => {
    assert.doesNotMatch(text, /[<>"]|&(?!(?:amp|lt|gt|quot|apos);)/);
    const characters: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
    return text.replaceAll(/&(\w+);/g, (_all, name: string) => characters[name] ?? '');
  };
  const open: string[] = [];
  const found: { path: string; attributes: Record<string, string>; text: string }[] = [];
  while (rest !== '') {
    const [all, close, name = '', attributes = '', text = ''] =
      /^<(\/?)([a-z]+)((?: [a-z]+="[^"]*")*)>([^<]*)/u.exec(rest) ??
      assert.fail(`no element at ${rest.slice(0, 50)}`);
    rest = rest.slice(all.length);
    if (close === '/') {
      assert.equal(open.pop(), name);
      continue;
    }
    open.push(name);
    const pairs = [...attributes.matchAll(/ ([a-z]+)="([^"]*)"/g)].map(([, key = '', value = '']) => [
      key,
      decode(value),
    ]);
    found.push({
      path: open.join('/'),
      attributes: Object.fromEntries(pairs) as Record<string, string>,
      text: decode(text),
    });
  }
  assert.deepEqual(open, []);
  return found;
}

test('has the size, the digests of the whole and of the pieces, and an address for each server', () => {
  const far = { ...SOURCE, zone: 'lan', url: 'http://far/v1/files/x' };
  const elements = read(metalinkOf('a/b.bin', MANIFEST, [SOURCE, far], 't.o-k_en'));
  assert.deepEqual(
    elements.map(({ path, attributes, text }) => [path.split('/').at(-1), attributes, text.trim()]),
    [
      ['metalink', { xmlns: 'urn:ietf:params:xml:ns:metalink' }, ''],
      ['generator', {}, 'Headwater'],
      ['file', { name: 'b.bin' }, ''],
      ['size', {}, '5'],
      ['hash', { type: 'sha-256' }, MANIFEST.sha256],
      ['pieces', { length: '4', type: 'sha-256' }, ''],
      ['hash', {}, MANIFEST.chunks[0]],
      ['hash', {}, MANIFEST.chunks[1]],
      ['url', { location: 'de', priority: '1' }, 'http://h/v1/files/x?token=t.o-k_en'],
      ['url', { priority: '2' }, 'http://far/v1/files/x?token=t.o-k_en'],
    ],
  );
});

test('an empty file has no pieces', () => {
  const elements = read(metalinkOf('e', { ...MANIFEST, size: 0, chunks: [] }, [SOURCE], 't'));
  assert.ok(elements.every(({ path }) => !path.includes('pieces')));
});

test('is well-formed for every name that a file can have, and names no other place', () => {
  hold(
    property(
      string({ unit: 'binary', minLength: 1, maxLength: 40 }),
      string({ minLength: 1, maxLength: 9 }),
      (odd, plain) => {
        for (const name of [odd, plain, `${plain}/${odd}`, `<${plain}>&"'${odd}`]) {
          if (!isFileName(name)) continue;
          const saved = read(metalinkOf(name, MANIFEST, [SOURCE], 't')).find(({ path }) =>
            path.endsWith('file'),
          );
          assert.equal(saved?.attributes['name'], metalinkName(name));
          assert.doesNotMatch(metalinkName(name), /\/|^\.{0,2}$/);
        }
      },
    ),
    { numRuns: 500 },
  );
});

test('characters that hide what a name ends in, or that XML does not have, are replaced', () => {
  assert.equal(metalinkName('a/\u202egpj.exe'), '_gpj.exe');
  assert.equal(metalinkName('a\ufffeb\u2066c\u0085'), 'a_b_c_');
  assert.equal(metalinkName('日本語 🎉.txt'), '日本語 🎉.txt');
});
