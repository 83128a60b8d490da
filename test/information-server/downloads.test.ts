import assert from 'node:assert/strict';
import { it } from 'node:test';

import { createRemoteJWKSet, jwtVerify } from 'jose';

import { Download, GrantClaims, type SourcesAnswer } from '../../src/core/api/files.ts';
import { MIB } from '../../src/core/chunks.ts';
import { newId } from '../../src/database/ids.ts';
import { addFile, addHolding, addServer } from './catalogue.ts';
import { onEachKind } from './each-kind.ts';
import { startTestServer, type TestServer } from './start.ts';

async function grant(test: TestServer, file: string, token?: string, body: unknown = {}): Promise<Download> {
  const answer = await test.ask('POST', `/v1/files/${file}/downloads`, body, token);
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  // The answer is text that no serializer has held to its schema: unknown fields fail here.
  return Download.strict().parse(answer.body);
}

const codeOf = ({ body }: { body: unknown }): unknown => (body as { code?: unknown }).code;

onEachKind('a download', (kind) => {
  it('is granted with a token that the published keys verify, the manifest and the sources', async () => {
    await using test = await startTestServer(kind);
    const db = test.database.queries;
    const { id: userId, email, token } = await test.user('reader');
    const file = await addFile(db, 'films/one.mp4');
    const server = await addServer(db, 'one', { url: 'http://one.test/' });
    await addHolding(db, file, server);
    const download = await grant(test, file.id, token);
    const jwks = createRemoteJWKSet(new URL(`${test.url}/.well-known/jwks.json`));
    const { payload } = await jwtVerify(download.token, jwks, { algorithms: ['EdDSA'] });
    const claims = GrantClaims.parse(payload);
    assert.equal(claims.jti, download.id);
    assert.equal(claims.sub, userId);
    assert.equal(claims.file, file.id);
    assert.equal(claims.manifest, file.manifestSha256);
    assert.equal(claims.exp - claims.iat, 300);
    assert.deepEqual(download.manifest, file.manifest);
    assert.deepEqual(download.file, {
      id: file.id,
      name: file.name,
      size: file.manifest.size,
      sha256: file.manifest.sha256,
      manifestSha256: file.manifestSha256,
    });
    assert.deepEqual(download.sources, [
      {
        id: server.id,
        name: 'one',
        zone: 'a',
        url: `http://one.test/v1/files/${file.id}`,
        state: 'running',
        has: 'all',
      },
    ]);
    const events = await db.selectFrom('events').selectAll().orderBy('position').execute();
    assert.deepEqual(
      events
        .filter(({ kind }) => kind.startsWith('download.'))
        .map(({ kind, audience, data }) => [kind, JSON.parse(audience), JSON.parse(data)]),
      [
        [
          'download.granted',
          { servers: [server.id] },
          {
            grant: download.id,
            file: file.id,
            manifest: file.manifestSha256,
            user: userId,
            expiresAt: download.expiresAt,
          },
        ],
        [
          'download.started',
          'people',
          { download: download.id, file: file.id, name: file.name, user: email, servers: 1 },
        ],
      ],
    );
  });

  it('names servers of its zone first, then the least busy, and says who holds a part', async () => {
    await using test = await startTestServer(kind);
    const db = test.database.queries;
    const file = await addFile(db, 'f', { size: 10 * MIB });
    const all = [
      await addServer(db, 'busy-near', { zone: 'b', answers: 9 }),
      await addServer(db, 'idle-near', { zone: 'b', answers: 1 }),
      await addServer(db, 'idle-far', { zone: 'a', answers: 0, rate: 5 }),
      await addServer(db, 'idler-far', { zone: 'a', answers: 0, rate: 4 }),
    ];
    for (const server of all) await addHolding(db, file, server);
    const part = await addServer(db, 'part', { zone: 'c', answers: 1 });
    await addHolding(db, file, part, Uint8Array.of(0b1100_0111, 0b10));
    const nothing = await addServer(db, 'nothing');
    await addHolding(db, file, nothing, Uint8Array.of(0, 0));
    const names = async (zone?: string): Promise<string[]> =>
      (await grant(test, file.id, undefined, { zone })).sources.map(({ name }) => name);
    assert.deepEqual(await names('b'), ['idle-near', 'busy-near', 'idler-far', 'idle-far', 'part']);
    assert.deepEqual(await names(), ['idler-far', 'idle-far', 'idle-near', 'part', 'busy-near']);
    assert.deepEqual(await names('nowhere'), await names());
    const { sources } = await grant(test, file.id);
    assert.deepEqual(sources.find(({ name }) => name === 'part')?.has, [
      [0, 2],
      [6, 7],
      [9, 9],
    ]);
  });

  it('is sent to servers that run, and to suspected ones only when there is no other', async () => {
    await using test = await startTestServer(kind);
    const db = test.database.queries;
    const file = await addFile(db, 'f');
    const states = ['running', 'paused', 'draining', 'stopped', 'suspected', 'dead'] as const;
    for (const state of states) await addHolding(db, file, await addServer(db, state, { state }));
    await addHolding(db, file, await addServer(db, 'silent', { last_seen_at: Date.now() - 60_000 }));
    await addHolding(db, file, await addServer(db, 'told-to-pause', { wanted: 'paused' }));
    const names = async (): Promise<string[]> =>
      (await grant(test, file.id)).sources.map(({ name }) => name).sort();
    assert.deepEqual(await names(), ['running']);
    await db.deleteFrom('servers').where('name', '=', 'running').execute();
    const other = await test.another();
    const answer = await fetch(`${other.url}/v1/files/${file.id}/downloads`, {
      method: 'POST',
      headers: { authorization: `Bearer ${test.admin}` },
    });
    const { sources } = (await answer.json()) as Download;
    assert.deepEqual(sources.map(({ name }) => name).sort(), ['silent', 'suspected']);
  });

  it('has a link instead of a large manifest', async () => {
    await using test = await startTestServer(kind);
    const file = await addFile(test.database.queries, 'large', { size: 1_101 * MIB });
    const gibibyte = await addFile(test.database.queries, 'gibibyte', { size: 1_024 * MIB });
    const { manifest, manifestUrl } = await grant(test, file.id);
    assert.equal(manifest, undefined);
    assert.equal(manifestUrl, `${test.url}/v1/files/${file.id}/manifest`);
    assert.deepEqual((await grant(test, gibibyte.id)).manifest, gibibyte.manifest);
  });

  it('is not there for who may not see the file, as for a file that is not there', async () => {
    await using test = await startTestServer(kind);
    const db = test.database.queries;
    const [owner, friend, stranger] = [
      await test.user('publisher'),
      await test.user('reader'),
      await test.user('publisher'),
    ];
    const file = await addFile(db, 'secret', { owner: owner.id, readers: [friend.id] });
    for (const { token } of [owner, friend]) await grant(test, file.id, token);
    await grant(test, file.id);
    const asked = await test.ask('POST', `/v1/files/${file.id}/downloads`, {}, stranger.token);
    const unknown = newId();
    const missing = await test.ask('POST', `/v1/files/${unknown}/downloads`, {}, stranger.token);
    assert.equal(asked.status, 404);
    assert.deepEqual(JSON.stringify(asked.body).replaceAll(file.id, unknown), JSON.stringify(missing.body));
    const none = await test.ask('POST', `/v1/files/${file.id}/downloads`, {}, null);
    assert.deepEqual([none.status, codeOf(none)], [401, 'HW_TOKEN_MISSING']);
  });

  it('is granted a thousand times at once, each with a token of its own', async () => {
    await using test = await startTestServer(kind);
    const db = test.database.queries;
    const files = [await addFile(db, 'a'), await addFile(db, 'b')];
    const server = await addServer(db, 'one');
    for (const file of files) await addHolding(db, file, server);
    const given = await Promise.all(
      Array.from({ length: 1_000 }, (_, at) => grant(test, files[at % 2]?.id ?? '')),
    );
    assert.equal(new Set(given.map(({ id }) => id)).size, 1_000);
    assert.equal(new Set(given.map(({ token }) => token)).size, 1_000);
    const { grants } = await db
      .selectFrom('grants')
      .select((is) => is.fn.countAll<number>().as('grants'))
      .executeTakeFirstOrThrow();
    assert.equal(grants, 1_000);
  });

  it('is renewed by its own token, until the session is over, the file is hidden or it was revoked', async () => {
    await using test = await startTestServer(kind);
    const db = test.database.queries;
    const user = await test.user('reader');
    const file = await addFile(db, 'f', { readers: [user.id] });
    const first = await grant(test, file.id, user.token);
    const renew = (token: string) => test.ask('POST', `/v1/downloads/${first.id}/renew`, undefined, token);
    for (const token of [first.token, user.token]) {
      const { status, body } = await renew(token);
      assert.equal(status, 200);
      const { token: next } = body as Download;
      const claims = JSON.parse(Buffer.from(next.split('.')[1] ?? '', 'base64url').toString()) as GrantClaims;
      assert.deepEqual([claims.jti, claims.file, claims.sub], [first.id, file.id, user.id]);
    }
    const stranger = await test.user('reader');
    assert.equal((await renew(stranger.token)).status, 404);
    await db.deleteFrom('file_readers').execute();
    assert.equal((await renew(first.token)).status, 404);
    await db.insertInto('file_readers').values({ file_id: file.id, user_id: user.id }).execute();
    await db.deleteFrom('sessions').where('user_id', '=', user.id).execute();
    assert.deepEqual(codeOf(await renew(first.token)), 'HW_TOKEN_EXPIRED');
    const mine = await grant(test, file.id);
    await db.updateTable('users').set({ disabled: 1 }).where('email', '=', 'admin@example.org').execute();
    assert.equal((await test.ask('POST', `/v1/downloads/${mine.id}/renew`, {}, mine.token)).status, 401);
  });

  it('is revoked by its owner or an admin: it is not renewed, and the holders are told', async () => {
    await using test = await startTestServer(kind);
    const db = test.database.queries;
    const [user, stranger] = [await test.user('reader'), await test.user('publisher')];
    const file = await addFile(db, 'f');
    const paused = await addServer(db, 'paused', { state: 'paused' });
    await addHolding(db, file, paused);
    for (const token of [user.token, test.admin]) {
      const { id, token: own, expiresAt } = await grant(test, file.id, user.token);
      assert.equal((await test.ask('DELETE', `/v1/downloads/${id}`, undefined, stranger.token)).status, 404);
      for (let time = 0; time < 2; time++)
        assert.equal((await test.ask('DELETE', `/v1/downloads/${id}`, undefined, token)).status, 204);
      const renewed = await test.ask('POST', `/v1/downloads/${id}/renew`, {}, own);
      assert.deepEqual([renewed.status, codeOf(renewed)], [403, 'HW_GRANT_REVOKED']);
      const sources = await test.ask('GET', `/v1/downloads/${id}/sources`, undefined, own);
      assert.equal(codeOf(sources), 'HW_GRANT_REVOKED');
      const events = await db
        .selectFrom('events')
        .select(['audience', 'data'])
        .where('kind', '=', 'grant.revoked')
        .where('data', 'like', `%${id}%`)
        .execute();
      assert.deepEqual(
        events.map((event) => [JSON.parse(event.audience), JSON.parse(event.data)]),
        [[{ servers: [paused.id] }, { grant: id, expiresAt }]],
      );
    }
    const shown = await grant(test, file.id, user.token);
    const path = `/v1/downloads/${shown.id}`;
    assert.equal((await test.ask('DELETE', path, undefined, shown.token)).status, 204);
    const lines = await db
      .selectFrom('audit')
      .select(['actor', 'address'])
      .where('action', '=', 'grant.revoked')
      .execute();
    assert.deepEqual(
      lines.map(({ actor }) => String(actor)).toSorted(),
      ['admin@example.org', user.email, user.email].sort(),
    );
    assert.ok(lines.every(({ address }) => address === '127.0.0.1'));
  });

  it('ends once, and people are told', async () => {
    await using test = await startTestServer(kind);
    const db = test.database.queries;
    const user = await test.user('reader');
    const file = await addFile(db, 'f');
    const { id, token } = await grant(test, file.id, user.token);
    const end = (outcome: string) =>
      test.ask('POST', `/v1/downloads/${id}/end`, { outcome, bytes: 12, seconds: 1.5 }, token);
    assert.equal((await end('done')).status, 204);
    assert.equal((await end('failed')).status, 204);
    const row = await db.selectFrom('grants').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
    assert.deepEqual([row.outcome, row.bytes], ['done', 12]);
    const events = await db
      .selectFrom('events')
      .select('data')
      .where('kind', '=', 'download.ended')
      .execute();
    assert.deepEqual(
      events.map(({ data }) => JSON.parse(data) as unknown),
      [
        {
          download: id,
          file: file.id,
          name: 'f',
          user: user.email,
          outcome: 'done',
          bytes: 12,
          seconds: 1.5,
        },
      ],
    );
    assert.equal((await test.ask('POST', `/v1/downloads/${id}/renew`, {}, token)).status, 409);
  });

  it('hears of sources that come, go, pause and fill, at every information server', async () => {
    await using test = await startTestServer(kind);
    const db = test.database.queries;
    const other = await test.another();
    const file = await addFile(db, 'f', { size: 4 * MIB });
    const one = await addServer(db, 'one');
    await addHolding(db, file, one);
    const { id, token, version: first } = await grant(test, file.id);
    let version = first;
    const next = async (): Promise<SourcesAnswer> => {
      const at = [test.url, other.url].map(async (url): Promise<SourcesAnswer> => {
        const path = `/v1/downloads/${id}/sources?version=${version}&wait=30`;
        const answer = await fetch(url + path, { headers: { authorization: `Bearer ${token}` } });
        assert.equal(answer.status, 200);
        return (await answer.json()) as SourcesAnswer;
      });
      const [here, there] = await Promise.all(at);
      assert.deepEqual(here, there);
      assert.ok(here);
      assert.notEqual(here.version, version);
      version = here.version;
      return here;
    };
    const changes: readonly [() => Promise<unknown>, unknown][] = [
      [
        async () => addHolding(db, file, await addServer(db, 'two'), Uint8Array.of(0b1)),
        [
          ['one', 'running', 'all'],
          ['two', 'running', [[0, 0]]],
        ],
      ],
      [
        () => db.updateTable('holdings').set({ chunks: null }).execute(),
        [
          ['one', 'running', 'all'],
          ['two', 'running', 'all'],
        ],
      ],
      [
        () => db.updateTable('servers').set({ wanted: 'draining' }).where('name', '=', 'one').execute(),
        [
          ['two', 'running', 'all'],
          ['one', 'draining', 'all'],
        ],
      ],
      [
        () => db.updateTable('servers').set({ state: 'dead' }).where('name', '=', 'one').execute(),
        [['two', 'running', 'all']],
      ],
    ];
    for (const [change, expected] of changes) {
      const answer = next();
      await change();
      const { sources } = await answer;
      assert.deepEqual(
        sources.map(({ name, state, has }) => [name, state, has]),
        expected,
      );
    }
  });

  it('hears nothing while nothing changes, and is told so when the time is over', async () => {
    await using test = await startTestServer(kind);
    const db = test.database.queries;
    const file = await addFile(db, 'f');
    const one = await addServer(db, 'one');
    await addHolding(db, file, one);
    const { id, version } = await grant(test, file.id);
    // Load is no change.
    await db.updateTable('servers').set({ answers: 5, rate: 7 }).execute();
    const path = `/v1/downloads/${id}/sources`;
    const { body } = await test.ask('GET', `${path}?version=${version}&wait=1.2`);
    assert.equal((body as SourcesAnswer).version, version);
    const unasked = await test.ask('GET', path);
    assert.equal((unasked.body as SourcesAnswer).version, version);
  });

  it('that is revoked or whose file is deleted hears of it while it waits', async () => {
    await using test = await startTestServer(kind);
    const db = test.database.queries;
    const file = await addFile(db, 'f');
    await addHolding(db, file, await addServer(db, 'one'));
    const { id, version } = await grant(test, file.id);
    const waiting = test.ask('GET', `/v1/downloads/${id}/sources?version=${version}&wait=60`);
    assert.equal((await test.ask('DELETE', `/v1/downloads/${id}`)).status, 204);
    assert.equal(codeOf(await waiting), 'HW_GRANT_REVOKED');
  });

  it('that is revoked or whose file is deleted on another information server hears of it while it waits', async () => {
    await using test = await startTestServer(kind);
    const db = test.database.queries;
    const file = await addFile(db, 'f');
    await addHolding(db, file, await addServer(db, 'one'));
    const other = await test.another();
    const headers = { authorization: `Bearer ${test.admin}` };
    for (const path of [undefined, `/v1/files/${file.id}`]) {
      const { id, version } = await grant(test, file.id);
      const began = performance.now();
      const waiting = test.ask('GET', `/v1/downloads/${id}/sources?version=${version}&wait=60`);
      await fetch(other.url + (path ?? `/v1/downloads/${id}`), { method: 'DELETE', headers });
      assert.equal(codeOf(await waiting), 'HW_GRANT_REVOKED');
      assert.ok(performance.now() - began < 60_000, 'long before its wait was over');
    }
  });

  it('answers who waits when the server stops', async () => {
    await using test = await startTestServer(kind);
    const db = test.database.queries;
    const file = await addFile(db, 'f');
    const { id, version } = await grant(test, file.id);
    const other = await test.another();
    const path = `/v1/downloads/${id}/sources?version=${version}&wait=60`;
    const waiting = fetch(other.url + path, { headers: { authorization: `Bearer ${test.admin}` } });
    await fetch(`${other.url}/healthz`);
    await other.close();
    const answer = await waiting.then(
      (response) => response.json() as Promise<SourcesAnswer>,
      () => undefined,
    );
    // It had come before the server stopped, or found it closed.
    if (answer !== undefined) assert.equal(answer.version, version);
  });
});
