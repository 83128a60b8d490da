import assert from 'node:assert/strict';
import { it } from 'node:test';

import type { CommitAnswer } from '../../../src/core/api/uploads.ts';
import { MIB } from '../../../src/core/chunks.ts';
import type { FileDetails } from '../../../src/core/api/files.ts';
import { onEachKind } from '../each-kind.ts';
import { eventsOf, madeUp } from '../servers/file-server.ts';
import { startTestServer, type Answer } from '../start.ts';
import { begin, commit, storeStandIn } from './store-stand-in.ts';

interface Refusal {
  readonly code: string;
  readonly details: Record<string, unknown>;
}

function refusal(answer: Answer): Refusal {
  return answer.body as Refusal;
}

onEachKind('a commit', (kind) => {
  it('makes the file once every chunk has its copies, and says until then which lack some', async () => {
    await using fleet = await startTestServer(kind);
    await using one = await storeStandIn(fleet, 'one', 'east');
    await using two = await storeStandIn(fleet, 'two', 'west');
    await using three = await storeStandIn(fleet, 'three', 'west');
    const content = madeUp('dir/some.bin', 'some', 10 * MIB);
    const upload = await begin(fleet, { name: content.name, replicas: 2 });
    const { chunks } = content.manifest;
    const none = await commit(fleet, upload.id, content);
    assert.equal(none.status, 409);
    assert.equal(refusal(none).code, 'HW_INCOMPLETE');
    assert.deepEqual(refusal(none).details['missing'], [[0, 9]]);

    // Chunk 4 is on one server only; 6 has two copies, both in one zone; 7 is where it does not belong, and is found there.
    for (const [index, digest] of chunks.entries()) {
      if (index !== 6) one.has.add(digest);
      if (index !== 4) (index % 2 === 0 ? two : three).has.add(digest);
      if (index === 6) three.has.add(digest);
    }
    const some = await commit(fleet, upload.id, content);
    assert.deepEqual(refusal(some).details['missing'], [
      [4, 4],
      [6, 6],
    ]);
    assert.equal((await fleet.ask('GET', '/v1/files')).status, 200);
    assert.deepEqual(await eventsOf(fleet, 'content.held'), []);

    one.has.add(chunks[6] ?? '');
    three.has.delete(chunks[6] ?? '');
    two.has.add(chunks[4] ?? '');
    const done = await commit(fleet, upload.id, content);
    assert.equal(done.status, 200, JSON.stringify(done.body));
    const file = done.body as CommitAnswer;
    assert.equal(file.name, 'dir/some.bin');
    assert.equal(file.manifestSha256, content.manifestSha256);
    assert.equal(file.holders, 3);
    const details = (await fleet.ask('GET', `/v1/files/${file.id}`)).body as FileDetails;
    assert.deepEqual(
      details.servers.map(({ name, has }) => [name, has]),
      [
        ['one', 'all'],
        [
          'three',
          [
            [1, 1],
            [3, 3],
            [5, 5],
            [7, 7],
            [9, 9],
          ],
        ],
        [
          'two',
          [
            [0, 0],
            [2, 2],
            [4, 4],
            [6, 6],
            [8, 8],
          ],
        ],
      ],
    );
    assert.deepEqual(details.replicas, { wanted: 2, least: 2, most: 2 });
    assert.deepEqual(await eventsOf(fleet, 'content.held'), [{ manifest: content.manifestSha256 }]);
    const again = await commit(fleet, upload.id, content);
    assert.deepEqual(again.body, done.body);
    assert.equal((await eventsOf(fleet, 'content.held')).length, 1);
    const granted = await fleet.ask('POST', `/v1/files/${file.id}/downloads`);
    assert.equal(granted.status, 200, JSON.stringify(granted.body));
    assert.equal((granted.body as { sources: unknown[] }).sources.length, 3);
  });

  it('wants no more copies than there are servers that take some, and finds one that does not answer', async () => {
    await using fleet = await startTestServer(kind);
    await using one = await storeStandIn(fleet, 'one');
    await using two = await storeStandIn(fleet, 'two');
    const content = madeUp('x');
    for (const digest of content.manifest.chunks) one.has.add(digest);
    for (const digest of content.manifest.chunks) two.has.add(digest);
    const upload = await begin(fleet, { name: 'x', replicas: 5 });
    two.isAway = true;
    const away = await commit(fleet, upload.id, content);
    assert.equal(refusal(away).code, 'HW_INCOMPLETE');
    assert.deepEqual(refusal(away).details['silent'], ['two']);
    await two.beat({ state: 'paused' });
    assert.equal((await commit(fleet, upload.id, content)).status, 200);
  });

  it('lets one of two uploads of one name win; with replace the later one, and the old file goes', async () => {
    await using fleet = await startTestServer(kind);
    await using one = await storeStandIn(fleet, 'one');
    const [red, blue] = [madeUp('n', 'red'), madeUp('n', 'blue')];
    for (const each of [red, blue]) for (const digest of each.manifest.chunks) one.has.add(digest);
    const uploads = [await begin(fleet, { name: 'n' }), await begin(fleet, { name: 'n' })];
    const answers = await Promise.all([
      commit(fleet, uploads[0]?.id ?? '', red),
      commit(fleet, uploads[1]?.id ?? '', blue),
    ]);
    assert.deepEqual(
      answers.map(({ status }) => status).toSorted((a, b) => a - b),
      [200, 409],
    );
    const lost = answers.find(({ status }) => status === 409);
    assert.equal(lost && refusal(lost).code, 'HW_CONFLICT');
    const won = answers[0].status === 200 ? red : blue;
    const other = won === red ? blue : red;
    const { id } = answers[answers[0].status === 200 ? 0 : 1].body as CommitAnswer;
    const granted = await fleet.ask('POST', `/v1/files/${id}/downloads`);
    const grant = granted.body as { id: string; token: string };

    const replacing = await begin(fleet, { name: 'n', replace: true });
    const replaced = await commit(fleet, replacing.id, other);
    assert.equal(replaced.status, 200, JSON.stringify(replaced.body));
    assert.equal((await fleet.ask('GET', `/v1/files/${id}`)).status, 404);
    assert.equal((await fleet.ask('POST', `/v1/files/${id}/downloads`)).status, 404);
    // The download under way goes on.
    const sources = await fleet.ask('GET', `/v1/downloads/${grant.id}/sources`, undefined, grant.token);
    assert.equal(sources.status, 200, JSON.stringify(sources.body));
    assert.deepEqual(await eventsOf(fleet, 'content.dropped'), []);
    const ended = { outcome: 'done', bytes: 1, seconds: 1 };
    await fleet.ask('POST', `/v1/downloads/${grant.id}/end`, ended, grant.token);
    while ((await eventsOf(fleet, 'content.dropped')).length === 0)
      await new Promise((resolve) => setTimeout(resolve, 50));
    assert.deepEqual(await eventsOf(fleet, 'content.dropped'), [{ manifest: won.manifestSha256 }]);
    const told = await one.server.announce({
      from: 0,
      to: 7,
      added: [red, blue].map(({ name, size, sha256, manifestSha256 }) => ({
        name,
        size,
        sha256,
        manifestSha256,
        stored: true,
      })),
    });
    assert.deepEqual((told.body as { unwanted: string[] }).unwanted, [won.manifestSha256]);
  });

  it('tells nobody to drop a content that it never heard of: its database may be an older one', async () => {
    await using fleet = await startTestServer(kind);
    await using one = await storeStandIn(fleet, 'one');
    const { name, size, sha256, manifestSha256 } = madeUp('later', 'later', 3);
    const added = [{ name, size, sha256, manifestSha256, stored: true }];
    for (const to of [7, 8]) {
      const told = await one.server.announce({ from: 0, to, added });
      assert.deepEqual((told.body as { unwanted: string[] }).unwanted, [], JSON.stringify(told.body));
    }
    assert.deepEqual(((await fleet.ask('GET', '/v1/files')).body as { items: unknown[] }).items, []);
  });

  it('takes an empty file, and what is a manifest only', async () => {
    await using fleet = await startTestServer(kind);
    await using one = await storeStandIn(fleet, 'one');
    assert.equal(one.asked.length, 0);
    const empty = madeUp('empty', 'empty', 0);
    const upload = await begin(fleet, { name: 'empty' });
    const wrong = await commit(fleet, upload.id, Buffer.from('something else'));
    assert.equal(refusal(wrong).code, 'HW_MANIFEST_INVALID');
    const done = await commit(fleet, upload.id, empty);
    assert.equal(done.status, 200, JSON.stringify(done.body));
    assert.equal((done.body as CommitAnswer).holders, 1);
  });
});
