import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';

import { statedSha256 } from '../../../../src/client/sources/digest-fields.ts';
import { manifestLink } from '../../../../src/client/sources/link.ts';
import { MANIFEST_TYPE } from '../../../../src/core/manifest.ts';

const digest = createHash('sha256').update('river').digest();
const base64 = digest.toString('base64');
const hex = digest.toString('hex');

describe('the digest that an answer states', () => {
  const rows: readonly [name: string, fields: Record<string, string>, found: string | undefined][] = [
    ['in Repr-Digest', { 'repr-digest': `sha-256=:${base64}:` }, hex],
    ['beside others', { 'repr-digest': `sha-512=:AAAA:, sha-256=:${base64}:` }, hex],
    ['in capitals', { 'repr-digest': `SHA-256=:${base64}:` }, hex],
    ['in the older Digest', { digest: `SHA-256=${base64}` }, hex],
    ['in the older Digest beside others', { digest: `md5=AAAA,sha-256=${base64}` }, hex],
    ['of another kind only', { 'repr-digest': 'sha-512=:AAAA:' }, undefined],
    ['cut off', { 'repr-digest': `sha-256=:${base64.slice(0, 20)}:` }, undefined],
    ['of the part only', { 'content-digest': `sha-256=:${base64}:` }, undefined],
    ['nowhere', {}, undefined],
    ['within another name', { 'repr-digest': `xsha-256=:${base64}:` }, undefined],
  ];
  for (const [name, fields, found] of rows) {
    test(`${name} is ${found === undefined ? 'not ' : ''}found`, () => {
      assert.equal(statedSha256(new Map(Object.entries(fields))), found);
    });
  }
});

describe('the manifest that an answer links to', () => {
  const base = new URL('http://a.example/dir/file.iso');
  const type = `type="${MANIFEST_TYPE}"`;
  const rows: readonly [header: string | undefined, found: string | undefined][] = [
    [`<file.iso?manifest>; rel="describedby"; ${type}`, 'http://a.example/dir/file.iso?manifest'],
    [`</m>; rel=describedby; ${type}`, 'http://a.example/m'],
    [`<http://b.example/m>; ${type}; rel="describedby"`, 'http://b.example/m'],
    [`</style.css>; rel=preload, </m>; rel="describedby"; ${type}`, 'http://a.example/m'],
    [`</m>; rel="alternate describedby"; ${type}`, 'http://a.example/m'],
    [`</m>; rel="describedby"`, undefined],
    [`</m>; rel="describedby"; type="text/html"`, undefined],
    [`</m>; rel="next"; ${type}`, undefined],
    [`</m>; rel="notdescribedby"; ${type}`, undefined],
    [`<http://[oops>; rel="describedby"; ${type}`, undefined],
    ['', undefined],
    [undefined, undefined],
  ];
  for (const [header, found] of rows) {
    test(`${JSON.stringify(header)} is ${found ?? 'none'}`, () => {
      assert.equal(manifestLink(header, base)?.href, found);
    });
  }
});
