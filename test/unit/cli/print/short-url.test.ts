import assert from 'node:assert/strict';
import { test } from 'node:test';

import { shortUrl } from '../../../../src/cli/print/short-url.ts';

const LONG = 'http://mirror.example.org:8080/pub/linux/distributions/debian-12.iso';

test('what fits is shown without its scheme', () => {
  assert.equal(shortUrl('http://a.example:8080/f.iso', 40), 'a.example:8080/f.iso');
});

test('folders go first', () => assert.equal(shortUrl(LONG, 45), 'mirror.example.org:8080/…/debian-12.iso'));

test('then the front of the name; host and port stay longest', () => {
  assert.equal(shortUrl(LONG, 30), 'mirror.example.org:8080…12.iso');
  assert.equal(shortUrl(LONG, 30, '~'), 'mirror.example.org:8080~12.iso');
  assert.equal(shortUrl(LONG, 20), 'mirror.example.org:…');
});

test('passwords and queries are not shown', () => {
  assert.equal(shortUrl('https://me:pw@a.example/f?sig=1', 40), 'a.example/f?…');
});

test('it is never wider than it may be', () => {
  for (const url of [
    LONG,
    'http://a/f',
    'http://[2001:db8::1]:8080/f',
    'no url at all, and a long text too',
  ]) {
    for (let width = 0; width < 80; width++)
      assert.ok(shortUrl(url, width).length <= width, `${url} ${width}`);
  }
});
