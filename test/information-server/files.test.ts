import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { it } from 'node:test';

import { FileDetails, type Download, type FileEntry, type FileList } from '../../src/core/api/files.ts';
import { MIB } from '../../src/core/chunks.ts';
import { unpackManifest } from '../../src/core/manifest-binary.ts';
import { canonicalManifest } from '../../src/core/manifest.ts';
import { newId } from '../../src/database/ids.ts';
import { addFile, addHolding, addServer } from './catalogue.ts';
import { onEachKind } from './each-kind.ts';
import { startTestServer, type Answer, type TestServer } from './start.ts';

const codeOf = ({ body }: { body: unknown }): unknown => (body as { code?: unknown }).code;
const fieldOf = ({ body }: { body: unknown }): unknown =>
  (body as { details: { field?: unknown } }).details.field;

async function list(test: TestServer, query: Record<string, string>, token?: string): Promise<FileList> {
  const answer = await test.ask(
    'GET',
    `/v1/files?${new URLSearchParams(query).toString()}`,
    undefined,
    token,
  );
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  return answer.body as FileList;
}

/** Every page, one entry each. */
async function all(test: TestServer, query: Record<string, string>, token?: string): Promise<FileEntry[]> {
  const items: FileEntry[] = [];
  let cursor: string | null = null;
  do {
    const page: FileList = await list(
      test,
      { limit: '1', ...query, ...(cursor !== null && { cursor }) },
      token,
    );
    assert.ok(page.items.length <= Number(query['limit'] ?? 1));
    items.push(...page.items);
    cursor = page.next;
  } while (cursor !== null);
  return items;
}

const namesOf = (items: readonly FileEntry[]): string[] => items.map(({ name }) => name);

onEachKind('the list of files', (kind) => {
  it('is sorted in every way, page by page, and loses nothing between pages', async () => {
    await using test = await startTestServer(kind);
    const db = test.database.queries;
    const sizes = [5, 3, 3, 9, 1];
    const names = ['b', 'A', 'c/d', 'B', 'ä'];
    for (const [at, name] of names.entries())
      await addFile(db, name, { size: sizes[at] ?? 0, createdAt: 1_000 * (at % 3) });
    const expected: Record<string, string[]> = {
      name: ['A', 'b', 'B', 'c/d', 'ä'],
      '-name': ['ä', 'c/d', 'B', 'b', 'A'],
      size: ['ä', 'A', 'c/d', 'b', 'B'],
      '-size': ['B', 'b', 'c/d', 'A', 'ä'],
      createdAt: ['b', 'B', 'A', 'ä', 'c/d'],
      '-createdAt': ['c/d', 'ä', 'A', 'B', 'b'],
    };
    for (const [sort, order] of Object.entries(expected)) {
      assert.deepEqual(namesOf(await all(test, { sort })), order, sort);
      assert.deepEqual(namesOf(await all(test, { sort, limit: '2' })), order, sort);
      assert.deepEqual(namesOf((await list(test, { sort })).items), order, sort);
    }
    assert.deepEqual(namesOf((await list(test, {})).items), expected['name']);
  });

  it('tells what it should of each file', async () => {
    await using test = await startTestServer(kind);
    const db = test.database.queries;
    const file = await addFile(db, 'f', { createdAt: 1_700_000_000_123 });
    for (const state of ['running', 'paused', 'dead'] as const)
      await addHolding(db, file, await addServer(db, state, { state }));
    const { items, next } = await list(test, {});
    assert.equal(next, null);
    assert.deepEqual(items, [
      {
        id: file.id,
        name: 'f',
        size: file.manifest.size,
        sha256: file.manifest.sha256,
        createdAt: '2023-11-14T22:13:20.123Z',
        manifestSha256: file.manifestSha256,
        holders: 2,
      },
    ]);
  });

  it('is searched by any part of the name, in any case, one character and more', async () => {
    await using test = await startTestServer(kind);
    const db = test.database.queries;
    const names = [
      'Films/Über den Wolken.mp4',
      'films/2024 100%_sure "quoted".mkv',
      'logs\u00a0x/it’s.txt',
      '日本語/資料.pdf',
      "o'brien; drop table files--.sql",
      '\u202egpj.exe',
      'nfd/cafe\u0301.txt',
    ];
    for (const name of names) await addFile(db, name);
    const searches: readonly [string, readonly number[]][] = [
      ['films', [0, 1]],
      ['FILMS/', [0, 1]],
      ['ü', [0]],
      ['ÜBER', [0]],
      ['%', [1]],
      ['_', [1]],
      ['100%_S', [1]],
      ['0%_', [1]],
      ['"', [1]],
      ['"quoted"', [1]],
      ["'", [4]],
      ["' or 1=1 --", []],
      ["o'brien; drop", [4]],
      ['\u202e', [5]],
      ['日', [3]],
      ['本語', [3]],
      ['語/資料', [3]],
      ['café', [6]],
      ['cafe\u0301', [6]],
      ['qz', []],
      ['\\', []],
      ['mp', [0]],
      ['.', [0, 1, 2, 3, 4, 5, 6]],
      ['AND', []],
      ['*', []],
      ['x'.repeat(200), []],
    ];
    for (const [search, expected] of searches) {
      const found = namesOf(await all(test, { search, limit: '100' }));
      assert.deepEqual(found.sort(), expected.map((at) => names[at] ?? '').sort(), search);
    }
  });

  it('finds the same by looking up as by walking, among more names than are read through', async () => {
    await using test = await startTestServer(kind);
    const db = test.database.queries;
    const base = await addFile(db, 'base');
    const rare = [
      'ß rare one',
      'x/qz',
      'qz',
      'ends with ß',
      'the needle here',
      'needle',
      'a日本b',
      '100%_sure',
    ];
    const names = Array.from({ length: 21_000 }, (_, at) => `common/${at % 7}/file-${at}.bin`);
    for (const [at, name] of rare.entries()) names.splice(at * 2_500, 0, name);
    const rows = names.map((name, at) => ({
      id: newId(),
      name,
      name_folded: name.toLowerCase(),
      content_id: base.contentId,
      size: (at * 7_919) % 10_007,
      visibility: 'everyone' as const,
      owner_id: null,
      created_at: at,
      deleted_at: null,
    }));
    for (let from = 0; from < rows.length; from += 3_000)
      await db
        .insertInto('files')
        .values(rows.slice(from, from + 3_000))
        .execute();
    const searches = [
      'ß',
      'qz',
      'needle',
      'NEEDLE H',
      '日本',
      '日',
      '%_',
      '100%',
      'file-1234',
      '-1234.',
      'zzz',
      '~',
      '7.bin',
      'common/3',
    ];
    for (const [turn, search] of searches.entries()) {
      for (const sort of turn % 2 === 0 ? ['name', 'createdAt'] : ['-size']) {
        const expected = rows.filter((row) => row.name_folded.includes(search.toLowerCase()));
        const way = sort.startsWith('-') ? -1 : 1;
        const key = (row: (typeof rows)[number]): string | number =>
          sort === 'name' ? row.name_folded : sort === '-size' ? row.size : row.created_at;
        expected.sort(
          (a, b) => way * (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : a.created_at - b.created_at),
        );
        const first = await list(test, { search, sort, limit: '30' });
        assert.deepEqual(
          namesOf(first.items),
          expected.slice(0, 30).map(({ name }) => name),
          `${search} by ${sort}`,
        );
        if (first.next === null) continue;
        const page = await list(test, { search, sort, limit: '30', cursor: first.next });
        assert.deepEqual(
          namesOf(page.items),
          expected.slice(30, 60).map(({ name }) => name),
          `${search} by ${sort}, on`,
        );
      }
    }
  });

  it('shows nobody what is not theirs to see', async () => {
    await using test = await startTestServer(kind);
    const db = test.database.queries;
    const [ann, bob] = [await test.user('publisher'), await test.user('reader')];
    await addFile(db, 'public-1');
    await addFile(db, 'public-2', { owner: ann.id });
    await addFile(db, 'anns', { owner: ann.id, readers: [] });
    await addFile(db, 'for-bob', { owner: ann.id, readers: [bob.id] });
    await addFile(db, 'for-both', { readers: [ann.id, bob.id] });
    await addFile(db, 'for-nobody', { readers: [] });
    const seen: readonly [string, readonly string[]][] = [
      [test.admin, ['anns', 'for-bob', 'for-both', 'for-nobody', 'public-1', 'public-2']],
      [ann.token, ['anns', 'for-bob', 'for-both', 'public-1', 'public-2']],
      [bob.token, ['for-bob', 'for-both', 'public-1', 'public-2']],
    ];
    for (const [token, names] of seen) {
      assert.deepEqual(namesOf(await all(test, {}, token)), names);
      assert.deepEqual(namesOf(await all(test, { sort: '-name' }, token)), names.toReversed());
      const found = names.filter((name) => name.includes('bo'));
      assert.deepEqual(namesOf(await all(test, { search: 'BO' }, token)), found);
    }
  });

  it('shows one who is named by many files all of them', async () => {
    await using test = await startTestServer(kind);
    const db = test.database.queries;
    const bob = await test.user('reader');
    const base = await addFile(db, 'base', { readers: [] });
    const rows = Array.from({ length: 2_100 }, (_, at) => ({
      id: newId(),
      name: `n${String(at).padStart(5, '0')}`,
      name_folded: `n${String(at).padStart(5, '0')}`,
      content_id: base.contentId,
      size: at,
      visibility: 'users' as const,
      owner_id: null,
      created_at: at,
      deleted_at: null,
    }));
    await db.insertInto('files').values(rows).execute();
    await db
      .insertInto('file_readers')
      .values(rows.map(({ id }) => ({ file_id: id, user_id: bob.id })))
      .execute();
    const found = await all(test, { limit: '1000' }, bob.token);
    assert.equal(found.length, 2_100);
    assert.deepEqual(
      namesOf(await all(test, { search: '0210', limit: '9' }, bob.token)),
      ['n00210', 'n02100'].slice(0, 1),
    );
  });

  it('refuses cursors that it has not given for the same list', async () => {
    await using test = await startTestServer(kind);
    for (const name of ['a', 'b', 'c']) await addFile(test.database.queries, name);
    const { next } = await list(test, { limit: '1' });
    assert.ok(next !== null);
    const wrong: readonly Record<string, string>[] = [
      { cursor: next, sort: 'size' },
      { cursor: next, search: 'a' },
      { cursor: 'x' },
      { cursor: '' },
      { cursor: `${next}AAAA` },
      { cursor: Buffer.from('["a","b",-1]').toString('base64url') },
      { cursor: Buffer.from('[1,2,3]').toString('base64url') },
      { cursor: 'A'.repeat(3_000) },
    ];
    for (const query of wrong) {
      const answer = await test.ask('GET', `/v1/files?${new URLSearchParams(query).toString()}`);
      assert.deepEqual(
        [answer.status, codeOf(answer), fieldOf(answer)],
        [400, 'HW_USAGE', 'cursor'],
        JSON.stringify(query),
      );
    }
    // The limit may change on the way.
    assert.deepEqual(namesOf((await list(test, { limit: '5', cursor: next })).items), ['b', 'c']);
  });
});

onEachKind('a file', (kind) => {
  it('is told of by id and by name', async () => {
    await using test = await startTestServer(kind);
    const db = test.database.queries;
    const owner = await test.user('publisher');
    const file = await addFile(db, 'Ordner/ä & b?.bin', { owner: owner.id, size: 3 * MIB });
    await addHolding(db, file, await addServer(db, 'two', { zone: 'z' }));
    const part = await addServer(db, 'part', { state: 'paused' });
    await addHolding(db, file, part, Uint8Array.of(0b101));
    await addHolding(db, file, await addServer(db, 'dead', { state: 'dead' }));
    const byId = await test.ask('GET', `/v1/files/${file.id}`);
    const byName = await test.ask('GET', `/v1/files/by-name?name=${encodeURIComponent(file.name)}`);
    assert.deepEqual(byId.body, byName.body);
    const details = FileDetails.parse(byId.body);
    assert.equal(details.owner, owner.email);
    assert.equal(details.chunks, 3);
    assert.equal(details.holders, 2);
    assert.deepEqual(
      details.servers.map(({ name, zone, state, has }) => [name, zone, state, has]),
      [
        [
          'part',
          'a',
          'paused',
          [
            [0, 0],
            [2, 2],
          ],
        ],
        ['two', 'z', 'running', 'all'],
      ],
    );
    for (const name of ['ordner/ä & b?.bin', 'Ordner', 'x'])
      assert.equal((await test.ask('GET', `/v1/files/by-name?name=${encodeURIComponent(name)}`)).status, 404);
  });

  it('is renamed by its publisher or an admin, and its servers are told', async () => {
    await using test = await startTestServer(kind);
    const db = test.database.queries;
    const [owner, other, reader] = [
      await test.user('publisher'),
      await test.user('publisher'),
      await test.user('reader'),
    ];
    const file = await addFile(db, 'old', { owner: owner.id });
    const taken = await addFile(db, 'taken');
    const server = await addServer(db, 'one', { state: 'paused' });
    await addHolding(db, file, server);
    const rename = (name: string, token?: string): Promise<Answer> =>
      test.ask('PATCH', `/v1/files/${file.id}`, { name }, token);
    for (const { token } of [other, reader]) {
      const refused = await rename('new', token);
      assert.deepEqual([refused.status, codeOf(refused)], [403, 'HW_FORBIDDEN']);
    }
    const clash = await rename('taken', owner.token);
    assert.deepEqual([clash.status, codeOf(clash)], [409, 'HW_CONFLICT']);
    assert.match(
      (clash.body as { message: string }).message,
      new RegExp(`taken belongs to the file ${taken.id}`),
    );
    const secret = await addFile(db, 'secret', { owner: other.id, readers: [] });
    const hidden = await rename('secret', owner.token);
    assert.deepEqual([hidden.status, codeOf(hidden)], [409, 'HW_CONFLICT']);
    for (const fact of [secret.id, secret.manifestSha256])
      assert.ok(!JSON.stringify(hidden.body).includes(fact), 'it tells of a file that one may not see');
    const renamed = await rename('Sub/New name', owner.token);
    assert.equal(renamed.status, 200);
    assert.equal((renamed.body as FileDetails).name, 'Sub/New name');
    assert.deepEqual(namesOf((await list(test, { search: 'NEW' })).items), ['Sub/New name']);
    assert.deepEqual((await list(test, { search: 'old' })).items, []);
    const events = await db
      .selectFrom('events')
      .select(['audience', 'data'])
      .where('kind', '=', 'file.renamed')
      .execute();
    assert.deepEqual(
      events.map(({ audience, data }) => [JSON.parse(audience), JSON.parse(data)]),
      [
        [
          { servers: [server.id] },
          { file: file.id, manifest: file.manifestSha256, name: 'Sub/New name', before: 'old' },
        ],
      ],
    );
    const line = await db
      .selectFrom('audit')
      .selectAll()
      .where('action', '=', 'file.renamed')
      .executeTakeFirstOrThrow();
    assert.deepEqual(
      [line.actor, line.subject, JSON.parse(line.details)],
      [owner.email, file.id, { from: 'old', to: 'Sub/New name' }],
    );
    // Its own name is no clash, and no change.
    assert.equal((await rename('Sub/New name', test.admin)).status, 200);
    assert.equal(
      (await db.selectFrom('events').select('id').where('kind', '=', 'file.renamed').execute()).length,
      1,
    );
  });

  it('gets one name when two want it at once', async () => {
    await using test = await startTestServer(kind);
    const db = test.database.queries;
    const files = await Promise.all(['a', 'b', 'c', 'd'].map((name) => addFile(db, name)));
    const answers = await Promise.all(
      files.map(({ id }) => test.ask('PATCH', `/v1/files/${id}`, { name: 'wanted' })),
    );
    assert.deepEqual(answers.map(({ status }) => String(status)).toSorted(), ['200', '409', '409', '409']);
  });

  it('is shown to those whom its publisher names, and to nobody else', async () => {
    await using test = await startTestServer(kind);
    const db = test.database.queries;
    const [owner, ann, bob] = [
      await test.user('publisher'),
      await test.user('reader'),
      await test.user('reader'),
    ];
    const file = await addFile(db, 'f', { owner: owner.id });
    const show = (visibility: unknown, token = owner.token): Promise<Answer> =>
      test.ask('PATCH', `/v1/files/${file.id}`, { visibility }, token);
    const see = async (token: string): Promise<number> =>
      (await test.ask('GET', `/v1/files/${file.id}`, undefined, token)).status;
    const shown = await show({ users: [ann.email.toUpperCase()] });
    assert.deepEqual((shown.body as FileDetails).visibility, { users: [ann.email] });
    assert.deepEqual([await see(ann.token), await see(bob.token), await see(owner.token)], [200, 404, 200]);
    const anns = await test.ask('GET', `/v1/files/${file.id}`, undefined, ann.token);
    assert.deepEqual((anns.body as FileDetails).visibility, { users: [ann.email] });
    assert.equal((await show('everyone', bob.token)).status, 404);
    const unknown = await show({ users: ['nobody@example.org'] });
    assert.deepEqual([unknown.status, fieldOf(unknown)], [400, 'visibility.users']);
    await show({ users: [] });
    assert.deepEqual([await see(ann.token), await see(owner.token)], [404, 200]);
    await show('everyone');
    assert.equal(await see(bob.token), 200);
    assert.equal(
      (await db.selectFrom('audit').select('id').where('action', '=', 'file.visibility').execute()).length,
      3,
    );
  });

  it('is deleted: hidden at once, its name is free, its servers and downloads are told', async () => {
    await using test = await startTestServer(kind);
    const db = test.database.queries;
    const file = await addFile(db, 'f');
    const server = await addServer(db, 'one');
    await addHolding(db, file, server);
    const { body } = await test.ask('POST', `/v1/files/${file.id}/downloads`);
    const { id, token, version } = body as Download;
    const waiting = test.ask(
      'GET',
      `/v1/downloads/${id}/sources?version=${version}&wait=60`,
      undefined,
      token,
    );
    assert.equal((await test.ask('DELETE', `/v1/files/${file.id}`)).status, 204);
    assert.equal(codeOf(await waiting), 'HW_GRANT_REVOKED');
    for (const [method, path] of [
      ['GET', `/v1/files/${file.id}`],
      ['GET', '/v1/files/by-name?name=f'],
      ['GET', `/v1/files/${file.id}/manifest`],
      ['GET', `/v1/files/${file.id}/metalink`],
      ['POST', `/v1/files/${file.id}/downloads`],
      ['DELETE', `/v1/files/${file.id}`],
    ] as const)
      assert.equal((await test.ask(method, path)).status, 404, `${method} ${path}`);
    assert.deepEqual((await list(test, {})).items, []);
    assert.deepEqual((await list(test, { search: 'f' })).items, []);
    for (const [method, path] of [
      ['POST', `/v1/downloads/${id}/renew`],
      ['GET', `/v1/files/${file.id}/manifest`],
    ] as const)
      assert.equal(codeOf(await test.ask(method, path, undefined, token)), 'HW_GRANT_REVOKED');
    const events = await db
      .selectFrom('events')
      .select(['audience', 'data'])
      .where('kind', '=', 'file.deleted')
      .execute();
    assert.deepEqual(
      events.map(({ audience, data }) => [JSON.parse(audience), JSON.parse(data)]),
      [[{ servers: [server.id] }, { file: file.id, manifest: file.manifestSha256, name: 'f' }]],
    );
    await addFile(db, 'f');
    assert.equal((await list(test, { search: 'f' })).items.length, 1);
  });
});

onEachKind('a manifest', (kind) => {
  it('is its canonical text, whose digest is its name, kept for ever', async () => {
    await using test = await startTestServer(kind);
    const file = await addFile(test.database.queries, 'f', { size: 20 * MIB + 1 });
    const ask = (headers: Record<string, string>, query = ''): Promise<Response> =>
      fetch(`${test.url}/v1/files/${file.id}/manifest${query}`, { headers });
    const authorization = `Bearer ${test.admin}`;
    const answer = await ask({ authorization });
    const text = await answer.text();
    assert.equal(text, canonicalManifest(file.manifest));
    assert.equal(createHash('sha256').update(text).digest('hex'), file.manifestSha256);
    assert.equal(answer.headers.get('content-type'), 'application/vnd.headwater.manifest+json');
    assert.equal(answer.headers.get('etag'), `"${file.manifestSha256}"`);
    assert.match(answer.headers.get('cache-control') ?? '', /private.*immutable/);
    for (const known of [
      `"${file.manifestSha256}"`,
      `W/"${file.manifestSha256}"`,
      `"x", "${file.manifestSha256}"`,
      '*',
    ]) {
      const again = await ask({ authorization, 'if-none-match': known });
      assert.deepEqual([again.status, await again.text()], [304, '']);
    }
    assert.equal((await ask({ authorization, 'if-none-match': '"x"' })).status, 200);
    const compact = await ask({ authorization, accept: 'application/vnd.headwater.manifest, */*;q=0.1' });
    assert.equal(compact.headers.get('content-type'), 'application/vnd.headwater.manifest');
    assert.notEqual(compact.headers.get('etag'), `"${file.manifestSha256}"`);
    assert.deepEqual(unpackManifest(Buffer.from(await compact.arrayBuffer()), 'the server'), file.manifest);
  });

  it('is opened by a grant for its file, and by no other', async () => {
    await using test = await startTestServer(kind);
    const db = test.database.queries;
    const [file, other] = [await addFile(db, 'f', { readers: [] }), await addFile(db, 'g')];
    const grant = async (id: string): Promise<Download> =>
      (await test.ask('POST', `/v1/files/${id}/downloads`)).body as Download;
    const path = `/v1/files/${file.id}/manifest`;
    const { token, id } = await grant(file.id);
    assert.equal((await test.ask('GET', path, undefined, token)).status, 200);
    assert.equal((await test.ask('GET', `${path}?token=${token}`, undefined, null)).status, 200);
    const replayed = await test.ask('GET', path, undefined, (await grant(other.id)).token);
    assert.deepEqual([replayed.status, codeOf(replayed)], [403, 'HW_GRANT_OTHER_FILE']);
    const session = await test.ask('GET', `${path}?token=${test.admin}`, undefined, null);
    assert.deepEqual([session.status, codeOf(session)], [401, 'HW_TOKEN_INVALID']);
    await test.ask('DELETE', `/v1/downloads/${id}`);
    assert.equal(codeOf(await test.ask('GET', path, undefined, token)), 'HW_GRANT_REVOKED');
    assert.equal((await test.ask('GET', path, undefined, null)).status, 401);
    const stranger = await test.user('reader');
    assert.equal((await test.ask('GET', path, undefined, stranger.token)).status, 404);
  });
});
