import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { indexHtml, indexJson, wantsHtml } from '../../../src/file-server/index-page.ts';

const LISTING = { files: [{ name: 'a/<b> & "c"é', size: 7 }], truncated: false };

describe('the list of names', () => {
  test('says where each file is', () => {
    assert.deepEqual(JSON.parse(indexJson(LISTING)), {
      files: [{ name: 'a/<b> & "c"é', size: 7, path: '/a/%3Cb%3E%20%26%20%22c%22%C3%A9' }],
      truncated: false,
    });
  });

  test('shows names as text, never as markup', () => {
    const page = indexHtml(LISTING);
    assert.ok(!page.includes('<b>'));
    assert.ok(page.includes('&#60;b&#62; &#38; &#34;c&#34;é'));
  });

  test('says when it is not the whole', () => {
    assert.match(indexHtml({ ...LISTING, truncated: true }), /more files/);
  });

  test('is a page for those who ask for one', () => {
    assert.ok(wantsHtml('text/html,application/xhtml+xml;q=0.9,*/*;q=0.8'));
    assert.ok(!wantsHtml('*/*'));
    assert.ok(!wantsHtml('application/json'));
    assert.ok(!wantsHtml(undefined));
  });
});
