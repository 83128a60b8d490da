import assert from 'node:assert/strict';
import { it } from 'node:test';

import type { AnnouncementAnswer } from '../../../src/core/api/servers.ts';
import { onEachKind } from '../each-kind.ts';
import { startTestServer, type TestServer } from '../start.ts';
import { announced, eventsOf, FileServer, filesOf, madeUp, type MadeUp } from './file-server.ts';

interface Body extends AnnouncementAnswer {
  readonly code: string;
  readonly details: Record<string, unknown>;
}

async function joined(fleet: TestServer, name: string): Promise<FileServer> {
  const server = new FileServer(fleet, name);
  await server.register();
  return server;
}

async function holdersOf(fleet: TestServer, content: MadeUp): Promise<string[]> {
  const rows = await fleet.database.queries
    .selectFrom('holdings')
    .innerJoin('servers', 'servers.number', 'holdings.server_number')
    .innerJoin('contents', 'contents.id', 'holdings.content_id')
    .select('servers.name')
    .where('contents.manifest_sha256', '=', content.manifestSha256)
    .orderBy('servers.name')
    .execute();
  return rows.map(({ name }) => name);
}

async function filesCount(fleet: TestServer, server: string): Promise<unknown> {
  const { body } = await fleet.ask('GET', `/v1/servers/${server}`);
  return (body as { files: unknown }).files;
}

/** Deletes a file as a person does. */
async function withdraw(fleet: TestServer, name: string): Promise<void> {
  await fleet.database.queries
    .updateTable('files')
    .set({ deleted_at: Date.now() })
    .where('name', '=', name)
    .execute();
}

async function die(fleet: TestServer, server: FileServer): Promise<void> {
  await fleet.database.queries
    .updateTable('servers')
    .set({ state: 'dead' })
    .where('id', '=', server.id)
    .execute();
}

onEachKind('what file servers hold', (kind) => {
  it('becomes a file once its manifest is known; another server with the same content is another holder', async () => {
    await using fleet = await startTestServer(kind);
    const content = madeUp('films/a.mkv');
    const one = await joined(fleet, 'one');
    const two = await joined(fleet, 'two');
    const { body } = await one.announce({ from: 0, to: 1, added: [announced(content)] });
    assert.deepEqual((body as Body).wanted, [content.manifestSha256]);
    assert.equal((await filesOf(fleet)).size, 0);
    assert.equal((await one.put(content)).status, 204);
    assert.equal((await one.put(content)).status, 204);
    const { wanted } = await two.hold(1, [{ ...content, name: 'other name.mkv' }]);
    assert.deepEqual(wanted, []);
    assert.deepEqual([...(await filesOf(fleet)).keys()], ['films/a.mkv']);
    assert.deepEqual(await holdersOf(fleet, content), ['one', 'two']);
    assert.equal((await eventsOf(fleet, 'file.published')).length, 1);
  });

  it('is told in pages, and what the last page has not told again is forgotten', async () => {
    await using fleet = await startTestServer(kind);
    const one = await joined(fleet, 'one');
    const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((name) => madeUp(name)) as [MadeUp, MadeUp, MadeUp, MadeUp];
    await one.hold(3, [a, b, c]);
    await one.announce({ from: 0, to: 4, last: false, added: [announced(b)] });
    assert.deepEqual(await holdersOf(fleet, a), ['one'], 'forgotten before the last page');
    const last = await one.announce({ from: 4, to: 5, added: [announced(d)] });
    assert.equal((last.body as Body).holdingsVersion, 5);
    assert.deepEqual(await Promise.all([a, b, c, d].map((each) => holdersOf(fleet, each))), [
      [],
      ['one'],
      [],
      ['one'],
    ]);
    assert.equal(await filesCount(fleet, 'one'), 2);
    const [lost] = await eventsOf(fleet, 'holding.lost');
    assert.equal(lost?.['count'], 2);
  });

  it('is told again from the beginning when a server that was interrupted in the middle comes back', async () => {
    await using fleet = await startTestServer(kind);
    const one = await joined(fleet, 'one');
    await one.announce({ from: 0, to: 4, last: false, added: [announced(madeUp('a'))] });
    one.instance++;
    const { body } = await one.register({ id: one.id }, one.token);
    assert.equal((body as Body).holdingsVersion, 0);
    await one.hold(9, [madeUp('b')]);
    assert.deepEqual(await holdersOf(fleet, madeUp('a')), []);
    assert.equal(await filesCount(fleet, 'one'), 1);
  });

  it('changes by what was added and removed, once, however often it is told', async () => {
    await using fleet = await startTestServer(kind);
    const other = await fleet.another();
    const one = await joined(fleet, 'one');
    await one.hold(1, [madeUp('a'), madeUp('b')]);
    const change = {
      from: 1,
      to: 2,
      added: [announced(madeUp('c'))],
      removed: [madeUp('a').manifestSha256],
    };
    const answers = [await one.announce(change), await one.announce(change)];
    const elsewhere = await fetch(`${other.url}/v1/servers/${one.id}/holdings`, {
      method: 'POST',
      headers: { authorization: `Bearer ${one.token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ instance: one.instance, ...change }),
    });
    for (const { body } of [...answers, { body: await elsewhere.json() }]) {
      assert.equal((body as Body).holdingsVersion, 2);
      assert.deepEqual((body as Body).wanted, [madeUp('c').manifestSha256]);
    }
    assert.equal(await filesCount(fleet, 'one'), 2);
  });

  it('is refused when it changes a version that is not known here, such as an older one', async () => {
    await using fleet = await startTestServer(kind);
    const one = await joined(fleet, 'one');
    await one.hold(10, [madeUp('a')]);
    const { status, body } = await one.announce({ from: 7, to: 8, added: [announced(madeUp('b'))] });
    assert.deepEqual([status, (body as Body).code], [409, 'HW_CONFLICT']);
    assert.equal((body as Body).details['holdingsVersion'], 10);
    assert.equal(((await one.beat({ holdingsVersion: 7 })).body as Body).holdingsVersion, 10);
    // It tells all again, under the version that it has.
    await one.hold(8, [madeUp('b')]);
    assert.deepEqual(await holdersOf(fleet, madeUp('a')), []);
    assert.equal(((await one.beat({ holdingsVersion: 8 })).body as Body).holdingsVersion, 8);
  });

  it('may be a part, which can shrink: people are told of the chunks', async () => {
    await using fleet = await startTestServer(kind);
    const one = await joined(fleet, 'one');
    const content = madeUp('a', 'a', 10 * 1024 * 1024);
    await one.hold(1, [content]);
    await one.announce({
      from: 1,
      to: 2,
      added: [
        {
          ...announced(content),
          has: [
            [0, 3],
            [6, 9],
          ],
        },
      ],
    });
    const [bad] = await eventsOf(fleet, 'chunk.bad');
    assert.deepEqual([bad?.['name'], bad?.['chunks']], ['a', [4, 5]]);
    const { chunks } = await fleet.database.queries
      .selectFrom('holdings')
      .select('chunks')
      .executeTakeFirstOrThrow();
    assert.deepEqual([...(chunks ?? [])], [0b1100_1111, 0b11]);
    assert.equal(await filesCount(fleet, 'one'), 1);
  });

  it('keeps a name for the content that has it while somebody living holds that, and tells people of the clash', async () => {
    await using fleet = await startTestServer(kind);
    const [one, two] = [await joined(fleet, 'one'), await joined(fleet, 'two')];
    const [first, second] = [madeUp('same', 'first'), madeUp('same', 'second')];
    await one.hold(1, [first]);
    await two.hold(1, [second]);
    const other = `same~${second.sha256.slice(0, 8)}`;
    assert.deepEqual([...(await filesOf(fleet)).keys()], ['same', other]);
    const [clash] = await eventsOf(fleet, 'file.clash');
    assert.deepEqual([clash?.['name'], clash?.['wanted']], [other, 'same']);
  });

  it('passes a name on when nobody living holds what had it, and gives the old content a name when it is back', async () => {
    await using fleet = await startTestServer(kind);
    const [one, two] = [await joined(fleet, 'one'), await joined(fleet, 'two')];
    const [first, second] = [madeUp('same', 'first'), madeUp('same', 'second')];
    await one.hold(1, [first]);
    await die(fleet, one);
    await two.hold(1, [second]);
    assert.equal((await filesOf(fleet)).get('same')?.sha256, second.sha256);
    assert.deepEqual(
      (await eventsOf(fleet, 'file.deleted')).map(({ withdraw }) => withdraw),
      [false],
    );
    const line = await fleet.database.queries
      .selectFrom('audit')
      .selectAll()
      .where('action', '=', 'file.deleted')
      .executeTakeFirstOrThrow();
    assert.deepEqual([line.actor, JSON.parse(line.details)], ['two', { name: 'same', passedOn: true }]);
    assert.equal(((await one.beat()).body as Body).holdingsVersion, 0);
    await one.hold(1, [first]);
    assert.equal((await filesOf(fleet)).get(`same~${first.sha256.slice(0, 8)}`)?.sha256, first.sha256);
  });

  it('lets a server replace a file in place, even when it tells all again', async () => {
    await using fleet = await startTestServer(kind);
    const one = await joined(fleet, 'one');
    await one.hold(1, [madeUp('log', 'monday')]);
    await one.hold(2, [madeUp('log', 'tuesday')]);
    assert.deepEqual(
      [...(await filesOf(fleet))].map(([name, { sha256 }]) => [name, sha256]),
      [['log', madeUp('log', 'tuesday').sha256]],
    );
    assert.equal(await filesCount(fleet, 'one'), 1);
  });

  it('stays deleted while any server has it, and is a new file when it comes after all had dropped it', async () => {
    await using fleet = await startTestServer(kind);
    const [one, two] = [await joined(fleet, 'one'), await joined(fleet, 'two')];
    const content = madeUp('a');
    await one.hold(1, [content]);
    const before = (await filesOf(fleet)).get('a')?.id;
    await withdraw(fleet, 'a');
    await one.hold(2, [content]);
    await two.hold(1, [content]);
    assert.equal((await filesOf(fleet)).size, 0);
    await one.hold(3, []);
    await one.hold(4, [content]);
    assert.equal((await filesOf(fleet)).size, 0, 'while the second had it');
    await one.hold(5, []);
    await two.hold(2, []);
    await one.hold(6, [content]);
    const after = (await filesOf(fleet)).get('a')?.id;
    assert.ok(after !== undefined && after !== before);
  });

  it('names a thousand files at once, some of them the same', async () => {
    await using fleet = await startTestServer(kind);
    const one = await joined(fleet, 'one');
    const two = await joined(fleet, 'two');
    const contents = Array.from({ length: 1_000 }, (_, index) =>
      madeUp(`name-${index % 990}`, `content-${index}`, 1),
    );
    await one.announce({ from: 0, to: 1, added: contents.map(announced) });
    await Promise.all(contents.map((content) => one.put(content)));
    assert.equal((await filesOf(fleet)).size, 1_000);
    const { wanted } = await two.hold(1, contents);
    assert.deepEqual(wanted, []);
    assert.equal((await filesOf(fleet)).size, 1_000);
    assert.equal(await filesCount(fleet, 'two'), 1_000);
  });
});

onEachKind('a file server that lies', (kind) => {
  it('about what a manifest says is told so, its holding is forgotten, and people are told', async () => {
    await using fleet = await startTestServer(kind);
    const one = await joined(fleet, 'one');
    const content = madeUp('a');
    await one.announce({ from: 0, to: 1, added: [{ ...announced(content), size: content.size + 1 }] });
    const { status, body } = await one.put(content);
    assert.deepEqual([status, (body as Body).code], [400, 'HW_MANIFEST_INVALID']);
    assert.equal((await eventsOf(fleet, 'server.lied')).length, 1);
    assert.equal(await filesCount(fleet, 'one'), 0);
    const two = await joined(fleet, 'two');
    await two.hold(1, [content]);
    assert.deepEqual([...(await filesOf(fleet)).keys()], ['a']);
  });

  it('does no harm to an honest one that announces the same content', async () => {
    await using fleet = await startTestServer(kind);
    const [liar, honest] = [await joined(fleet, 'liar'), await joined(fleet, 'honest')];
    const content = madeUp('a');
    await liar.announce({ from: 0, to: 1, added: [{ ...announced(content), size: 5 }] });
    await honest.hold(1, [content]);
    const { size } = await fleet.database.queries
      .selectFrom('files')
      .select('size')
      .executeTakeFirstOrThrow();
    assert.equal(size, content.size);
    const { body } = await liar.announce({
      from: 1,
      to: 2,
      added: [{ ...announced(content), sha256: 'f'.repeat(64) }],
    });
    assert.deepEqual((body as Body).refused, [content.manifestSha256]);
  });

  it('is refused manifests that are broken, of another content, cut otherwise, or never announced', async () => {
    await using fleet = await startTestServer(kind);
    const one = await joined(fleet, 'one');
    const content = madeUp('a');
    await one.announce({ from: 0, to: 1, added: [announced(content)] });
    const cutOtherwise = {
      ...content.manifest,
      chunkSize: 2 ** 21,
      chunks: content.manifest.chunks.slice(1),
    };
    for (const text of [
      '',
      '{',
      '[]',
      '{"version":1}',
      JSON.stringify(madeUp('b').manifest),
      JSON.stringify(cutOtherwise),
    ]) {
      const { status, body } = await one.putText(content.manifestSha256, text);
      assert.deepEqual([status, (body as Body).code], [400, 'HW_MANIFEST_INVALID'], text);
    }
    const unknown = await one.put(madeUp('b'));
    assert.deepEqual([unknown.status, (unknown.body as Body).code], [404, 'HW_NOT_FOUND']);
    assert.equal((await filesOf(fleet)).size, 0);
    assert.equal((await one.put(content)).status, 204);
  });
});

onEachKind('an announcement', (kind) => {
  it('that is malformed is refused with the field, and changes nothing', async () => {
    await using fleet = await startTestServer(kind);
    const one = await joined(fleet, 'one');
    const good = announced(madeUp('a'));
    const wrong: [Record<string, unknown>, string][] = [
      [{ from: -1, to: 1 }, 'from'],
      [{ from: 0, to: 0 }, 'to'],
      [{ from: 0 }, 'to'],
      [{ from: 0, to: 1, added: 'all' }, 'added'],
      [{ from: 0, to: 1, extra: true }, 'extra'],
      [{ from: 0, to: 1, removed: ['abc'] }, 'removed.0'],
      [{ from: 0, to: 1, added: Array.from({ length: 1_001 }, () => good) }, 'added'],
      [{ from: 0, to: 1, added: [{ ...good, name: '../etc/passwd' }] }, 'added.0.name'],
      [{ from: 0, to: 1, added: [{ ...good, name: 'a\u0000b' }] }, 'added.0.name'],
      [{ from: 0, to: 1, added: [good, { ...good, size: 1.5 }] }, 'added.1.size'],
      [{ from: 0, to: 1, added: [{ ...good, size: Number.MAX_SAFE_INTEGER }] }, 'added.0.size'],
      [{ from: 0, to: 1, added: [{ ...good, has: [[0, 99]] }] }, 'added.0.has'],
      [{ from: 0, to: 1, added: [{ ...good, has: [[2, 1]] }] }, 'added.0.has'],
      [{ from: 0, to: 1, instance: 'x' }, 'instance'],
    ];
    for (const [change, field] of wrong) {
      const { status, body } = await one.announce(change);
      assert.deepEqual([status, (body as Body).code], [400, 'HW_USAGE'], field);
      assert.equal((body as Body).details['field'], field);
    }
    assert.equal(await filesCount(fleet, 'one'), 0);
    const names = ["a'; drop table files; --", 'a%_\\', 'ünï/ç∅dé', '💧'];
    const odd = names.filter((name) => !name.includes('\\')).map((name) => madeUp(name));
    await one.hold(2, odd);
    assert.deepEqual([...(await filesOf(fleet)).keys()].toSorted(), odd.map(({ name }) => name).toSorted());
  });
});
