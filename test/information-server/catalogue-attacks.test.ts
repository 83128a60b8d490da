import assert from 'node:assert/strict';
import { it } from 'node:test';

import type { Download, FileDetails, FileList } from '../../src/core/api/files.ts';
import { newId } from '../../src/database/ids.ts';
import { addFile, addHolding, addServer } from './catalogue.ts';
import { onEachKind } from './each-kind.ts';
import { startTestServer } from './start.ts';

const ID = newId();
const LONG = 'x'.repeat(3_000);

/** Each: method, path, body, and the field that is wrong. */
const WRONG: readonly (readonly [string, string, unknown, string])[] = [
  ['GET', '/v1/files?limit=0', undefined, 'limit'],
  ['GET', '/v1/files?limit=1001', undefined, 'limit'],
  ['GET', '/v1/files?limit=1.5', undefined, 'limit'],
  ['GET', '/v1/files?limit=1&limit=2', undefined, 'limit'],
  ['GET', '/v1/files?sort=colour', undefined, 'sort'],
  ['GET', '/v1/files?sort=name%20desc', undefined, 'sort'],
  ['GET', '/v1/files?search=', undefined, 'search'],
  ['GET', `/v1/files?search=${'x'.repeat(201)}`, undefined, 'search'],
  ['GET', '/v1/files?search=a%00b', undefined, 'search'],
  ['GET', '/v1/files?cursor=%00', undefined, 'cursor'],
  ['GET', `/v1/files?cursor=${LONG}`, undefined, 'cursor'],
  ['GET', '/v1/files?owner=me', undefined, 'owner'],
  ['GET', '/v1/files/by-name', undefined, 'name'],
  ['GET', '/v1/files/by-name?name=', undefined, 'name'],
  ['GET', '/v1/files/by-name?name=a&name=b', undefined, 'name'],
  ['GET', `/v1/files/by-name?name=${LONG}`, undefined, 'name'],
  ['GET', '/v1/files/by-name?name=..%2Fetc%2Fpasswd', undefined, 'name'],
  ['GET', '/v1/files/by-name?name=f&x=1', undefined, 'x'],
  ['GET', '/v1/files/1', undefined, 'id'],
  ['GET', `/v1/files/${ID}'`, undefined, 'id'],
  ['GET', `/v1/files/${ID}?x=1`, undefined, 'x'],
  ['GET', `/v1/files/${ID}/manifest?x=1`, undefined, 'x'],
  ['GET', `/v1/files/${ID}/manifest?token=${'x'.repeat(4_097)}`, undefined, 'token'],
  ['GET', `/v1/files/${ID}/metalink?zone=A%20B`, undefined, 'zone'],
  ['GET', `/v1/files/${ID}/metalink?x=1`, undefined, 'x'],
  ['PATCH', '/v1/files/x', { name: 'a' }, 'id'],
  ['PATCH', `/v1/files/${ID}`, undefined, 'body'],
  ['PATCH', `/v1/files/${ID}`, [], 'body'],
  ['PATCH', `/v1/files/${ID}`, { size: 1 }, 'size'],
  ['PATCH', `/v1/files/${ID}`, { name: 7 }, 'name'],
  ['PATCH', `/v1/files/${ID}`, { visibility: 'nobody' }, 'visibility'],
  ['PATCH', `/v1/files/${ID}`, { visibility: { users: 'a@example.org' } }, 'visibility'],
  ['PATCH', `/v1/files/${ID}`, { visibility: { users: [], x: 1 } }, 'visibility.x'],
  [
    'PATCH',
    `/v1/files/${ID}`,
    { visibility: { users: Array.from({ length: 1_001 }, () => 'a') } },
    'visibility',
  ],
  ...[
    '',
    '/a',
    'a/',
    'a//b',
    '.',
    '..',
    'a/../b',
    'a/./b',
    'a\\b',
    'a\u0000b',
    'a\nb',
    'a\u007f',
    'a\u009b2J',
    '\ud800',
    'x'.repeat(1_025),
    '語'.repeat(900),
  ].map((name) => ['PATCH', `/v1/files/${ID}`, { name }, 'name'] as const),
  ['DELETE', '/v1/files/x', undefined, 'id'],
  ['DELETE', `/v1/files/${ID}?force=1`, undefined, 'force'],
  ['DELETE', `/v1/files/${ID}`, { force: true }, 'force'],
  ['POST', '/v1/files/x/downloads', {}, 'id'],
  ['POST', `/v1/files/${ID}/downloads`, [], 'body'],
  ['POST', `/v1/files/${ID}/downloads`, { zone: 7 }, 'zone'],
  ['POST', `/v1/files/${ID}/downloads`, { zone: "a'; --" }, 'zone'],
  ['POST', `/v1/files/${ID}/downloads`, { expires: 1e9 }, 'expires'],
  ['GET', `/v1/downloads/x/sources`, undefined, 'id'],
  ['GET', `/v1/downloads/${ID}/sources?wait=61`, undefined, 'wait'],
  ['GET', `/v1/downloads/${ID}/sources?wait=-1`, undefined, 'wait'],
  ['GET', `/v1/downloads/${ID}/sources?wait=long`, undefined, 'wait'],
  ['GET', `/v1/downloads/${ID}/sources?version=${'x'.repeat(101)}`, undefined, 'version'],
  ['GET', `/v1/downloads/${ID}/sources?x=1`, undefined, 'x'],
  ['POST', `/v1/downloads/${ID}/renew`, { seconds: 9 }, 'seconds'],
  ['POST', `/v1/downloads/x/renew`, {}, 'id'],
  ['POST', `/v1/downloads/${ID}/end`, undefined, 'body'],
  ['POST', `/v1/downloads/${ID}/end`, { bytes: 1, seconds: 1 }, 'outcome'],
  ['POST', `/v1/downloads/${ID}/end`, { outcome: 'great', bytes: 1, seconds: 1 }, 'outcome'],
  ['POST', `/v1/downloads/${ID}/end`, { outcome: 'done', bytes: -1, seconds: 1 }, 'bytes'],
  ['POST', `/v1/downloads/${ID}/end`, { outcome: 'done', bytes: 2 ** 60, seconds: 1 }, 'bytes'],
  ['POST', `/v1/downloads/${ID}/end`, { outcome: 'done', bytes: 1, seconds: '1' }, 'seconds'],
  [
    'POST',
    `/v1/downloads/${ID}/end`,
    { outcome: 'done', bytes: 1, seconds: 1, code: 'x'.repeat(51) },
    'code',
  ],
  ['POST', `/v1/downloads/${ID}/end`, { outcome: 'done', bytes: 1, seconds: 1, x: 1 }, 'x'],
  ['DELETE', `/v1/downloads/x`, undefined, 'id'],
  ['DELETE', `/v1/downloads/${ID}?x=1`, undefined, 'x'],
  ['POST', '/v1/keys/rotate', { now: true }, 'now'],
  ['POST', '/v1/keys/rotate?x=1', undefined, 'x'],
  ['GET', '/.well-known/jwks.json?x=1', undefined, 'x'],
];

const codeOf = ({ body }: { body: unknown }): unknown => (body as { code?: unknown }).code;

onEachKind('requests for files and downloads', (kind) => {
  it('are refused with the code and the field that is wrong', async () => {
    await using test = await startTestServer(kind);
    for (const [method, path, body, field] of WRONG) {
      const answer = await test.ask(method, path, body);
      const said = `${method} ${path} ${JSON.stringify(body)}: ${JSON.stringify(answer.body)}`;
      assert.deepEqual([answer.status, codeOf(answer)], [400, 'HW_USAGE'], said);
      assert.equal((answer.body as { details: { field?: string } }).details.field, field, said);
    }
  });

  it('that are too long are refused before they are read', async () => {
    await using test = await startTestServer(kind);
    const file = await addFile(test.database.queries, 'f');
    for (const [method, path] of [
      ['PATCH', `/v1/files/${file.id}`],
      ['POST', `/v1/files/${file.id}/downloads`],
      ['POST', `/v1/downloads/${ID}/end`],
    ] as const) {
      const answer = await test.ask(method, path, { name: 'x'.repeat(600_000) });
      assert.deepEqual([answer.status, codeOf(answer)], [413, 'HW_TOO_LARGE']);
    }
  });

  it('need a token, and a token that is not one opens nothing', async () => {
    await using test = await startTestServer(kind);
    const file = await addFile(test.database.queries, 'f');
    const { id } = (await test.ask('POST', `/v1/files/${file.id}/downloads`)).body as Download;
    const end = { outcome: 'done', bytes: 1, seconds: 1 };
    const routes: readonly [string, string, unknown?][] = [
      ['GET', '/v1/files'],
      ['GET', '/v1/files/by-name?name=f'],
      ['GET', `/v1/files/${file.id}`],
      ['PATCH', `/v1/files/${file.id}`, { name: 'g' }],
      ['DELETE', `/v1/files/${file.id}`],
      ['GET', `/v1/files/${file.id}/manifest`],
      ['GET', `/v1/files/${file.id}/metalink`],
      ['POST', `/v1/files/${file.id}/downloads`, {}],
      ['GET', `/v1/downloads/${id}/sources`],
      ['POST', `/v1/downloads/${id}/renew`],
      ['POST', `/v1/downloads/${id}/end`, end],
      ['DELETE', `/v1/downloads/${id}`],
      ['POST', '/v1/keys/rotate'],
    ];
    const none = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from(
      JSON.stringify({ jti: id, file: file.id, exp: 4e9 }),
    ).toString('base64url')}.`;
    for (const [method, path, body] of routes) {
      const without = await test.ask(method, path, body, null);
      assert.deepEqual([without.status, codeOf(without)], [401, 'HW_TOKEN_MISSING'], `${method} ${path}`);
      for (const token of ['x', 'a.b.c', none, `${test.admin}x`]) {
        const answer = await test.ask(method, path, body, token);
        assert.deepEqual([answer.status, codeOf(answer)], [401, 'HW_TOKEN_INVALID'], `${method} ${path}`);
      }
    }
  });

  it('with a grant open its own download and manifest, and nothing else', async () => {
    await using test = await startTestServer(kind);
    const db = test.database.queries;
    const [file, other] = [await addFile(db, 'f'), await addFile(db, 'g')];
    const grant = async (id: string): Promise<Download> =>
      (await test.ask('POST', `/v1/files/${id}/downloads`)).body as Download;
    const [mine, others] = [await grant(file.id), await grant(other.id)];
    const asked = (method: string, path: string, body?: unknown) => test.ask(method, path, body, mine.token);
    for (const [method, path, body] of [
      ['GET', `/v1/downloads/${others.id}/sources`],
      ['POST', `/v1/downloads/${others.id}/renew`],
      ['POST', `/v1/downloads/${others.id}/end`, { outcome: 'done', bytes: 1, seconds: 1 }],
      ['DELETE', `/v1/downloads/${others.id}`],
    ] as const) {
      const answer = await asked(method, path, body);
      assert.deepEqual([answer.status, codeOf(answer)], [403, 'HW_FORBIDDEN'], `${method} ${path}`);
    }
    const replayed = await asked('GET', `/v1/files/${other.id}/manifest`);
    assert.deepEqual([replayed.status, codeOf(replayed)], [403, 'HW_GRANT_OTHER_FILE']);
    for (const path of ['/v1/files', `/v1/files/${file.id}`, `/v1/files/${file.id}/metalink`])
      assert.equal(codeOf(await asked('GET', path)), 'HW_TOKEN_INVALID', path);
    assert.equal(codeOf(await asked('POST', `/v1/files/${file.id}/downloads`)), 'HW_TOKEN_INVALID');
    assert.equal((await asked('GET', `/v1/downloads/${mine.id}/sources`)).status, 200);
  });

  it('take names with texts of a database language or a path as nothing but names', async () => {
    await using test = await startTestServer(kind);
    const db = test.database.queries;
    const file = await addFile(db, 'first');
    await addHolding(db, file, await addServer(db, 's'));
    const names = [
      "'; drop table files; --",
      '100%_\u00a0"x"',
      '${jndi:ldap:/x}',
      '<script>alert(1)</script>&amp;',
      '\u202egpj.exe',
      '😀/ﷺ',
      'x'.repeat(1_024),
      '語'.repeat(800),
      'İ'.repeat(700),
      '-rf *',
      'con.txt:stream',
      '__proto__',
    ];
    for (const name of names) {
      const changed = await test.ask('PATCH', `/v1/files/${file.id}`, { name });
      assert.equal(changed.status, 200, JSON.stringify(changed.body));
      assert.equal((changed.body as FileDetails).name, name);
      const found = await test.ask('GET', `/v1/files/by-name?name=${encodeURIComponent(name)}`);
      assert.equal((found.body as FileDetails).id, file.id);
      const search = encodeURIComponent(name.slice(0, 60));
      const { items } = (await test.ask('GET', `/v1/files?search=${search}`)).body as FileList;
      assert.deepEqual(
        items.map(({ id }) => id),
        [file.id],
        name,
      );
      assert.equal((await test.ask('POST', `/v1/files/${file.id}/downloads`)).status, 200);
    }
  });
});
