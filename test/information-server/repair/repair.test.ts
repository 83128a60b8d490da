import assert from 'node:assert/strict';
import { it } from 'node:test';

import type { RebalanceAnswer } from '../../../src/core/api/uploads.ts';
import { MIB } from '../../../src/core/chunks.ts';
import type { InformationServerOptions } from '../../../src/information-server/options.ts';
import { onEachKind } from '../each-kind.ts';
import { eventsOf, madeUp } from '../servers/file-server.ts';
import { startTestServer } from '../start.ts';
import { CopyingFleet } from './copying-servers.ts';

/** A silent server is dead within some seconds; one that is heard must not be on a slow machine. */
const QUICK: Partial<InformationServerOptions> = {
  times: { heartbeat: 0.2, suspectAfter: 2, deadAfter: 4 },
  copies: { every: 0.1 },
};

onEachKind('repair', (kind) => {
  it('copies what a dead server had, what has the fewest copies first, and trims when it comes back', async () => {
    await using test = await startTestServer(kind, QUICK);
    await using fleet = new CopyingFleet(test);
    const [one, two, three] = [await fleet.add('one'), await fleet.add('two'), await fleet.add('three')];
    const [a, b] = [madeUp('a', 'a', 9 * MIB), madeUp('b', 'b', 5 * MIB)];
    const others = [one, two, three];
    await fleet.publish(a, (chunk) => others.filter((_, index) => index !== chunk % 3), 2);
    await fleet.publish(b, () => [one, two], 2);
    fleet.silence(one);
    await fleet.until(() => [a, b].every((each) => fleet.copies(each).every((copies) => copies === 2)));
    await fleet.until(async () => (await eventsOf(test, 'repair.done')).length > 0);
    const [started] = await eventsOf(test, 'repair.started');
    assert.deepEqual(started, { server: one.server.id, name: 'one', why: 'dead', contents: 2 });
    const [done] = await eventsOf(test, 'repair.done');
    assert.equal(done?.['chunks'], 6 + 5);
    assert.equal(done['waiting'], 0);

    fleet.wake(one);
    for (const each of [a, b]) await fleet.tell(one, each.manifestSha256);
    await fleet.until(() => [a, b].every((each) => fleet.copies(each).every((copies) => copies === 2)));
    // Nothing is let go below two copies on the way: each drop had two others.
    const rows = await test.database.queries.selectFrom('repairs').selectAll().execute();
    assert.deepEqual(
      rows.filter(({ look_at: at }) => at < Date.now() - 5_000),
      [],
    );
  });

  it('empties a draining server, and says so', async () => {
    await using test = await startTestServer(kind, QUICK);
    await using fleet = new CopyingFleet(test);
    const [one, two] = [await fleet.add('one'), await fleet.add('two')];
    await fleet.add('three');
    const content = madeUp('c', 'c', 6 * MIB);
    await fleet.publish(content, () => [one, two], 2);
    assert.equal((await test.ask('POST', '/v1/servers/one/drain')).status, 200);
    await fleet.until(async () => (await eventsOf(test, 'server.drained')).length > 0, { one: 'draining' });
    assert.equal(one.holds.get(content.manifestSha256)?.size, 0);
    assert.deepEqual(fleet.copies(content), [2, 2, 2, 2, 2, 2]);
    assert.deepEqual(await eventsOf(test, 'server.drained'), [{ server: one.server.id, name: 'one' }]);
  });

  it('makes a chunk anew that was found bad, elsewhere when the server does not do its order', async () => {
    await using test = await startTestServer(kind, QUICK);
    await using fleet = new CopyingFleet(test);
    const [one, two, three] = [await fleet.add('one'), await fleet.add('two'), await fleet.add('three')];
    const content = madeUp('d', 'd', 4 * MIB);
    await fleet.publish(content, () => [one, two], 2);
    one.holds.get(content.manifestSha256)?.delete(2);
    await fleet.tell(one, content.manifestSha256);
    for (const server of [one, three]) server.isIdle = true;
    const ordered = async (): Promise<boolean> => (await eventsOf(test, 'chunks.copy')).length > 0;
    await fleet.until(ordered);
    const [first] = await eventsOf(test, 'chunks.copy');
    assert.deepEqual(first?.['chunks'], [[2, 2]]);
    // Its time is over.
    for (const server of [one, three]) server.isIdle = false;
    await test.database.queries.updateTable('copies').set({ deadline: 1 }).execute();
    await fleet.until(() => fleet.copies(content).every((copies) => copies === 2));
  });

  it('goes on where the leader before has ended', async () => {
    await using test = await startTestServer(kind, { ...QUICK, times: { ...QUICK.times, lease: 1 } });
    await using fleet = new CopyingFleet(test);
    const [one, two, three] = [await fleet.add('one'), await fleet.add('two'), await fleet.add('three')];
    const content = madeUp('e', 'e', 8 * MIB);
    await fleet.publish(content, () => [one, two], 2);
    await test.another();
    three.isIdle = true;
    fleet.silence(one);
    await fleet.until(async () => (await eventsOf(test, 'chunks.copy')).length > 0);
    const { queries } = test.database;
    const epochNow = async (): Promise<number> =>
      (await queries.selectFrom('leases').select('epoch').executeTakeFirstOrThrow()).epoch;
    const before = await epochNow();
    await queries.updateTable('leases').set({ expires_at: 0, owner: 'nobody' }).execute();
    await fleet.until(async () => (await epochNow()) > before);
    three.isIdle = false;
    await queries.updateTable('copies').set({ deadline: 1 }).execute();
    await fleet.until(() => fleet.copies(content).every((copies) => copies === 2));
  });

  it('says which chunks are lost, and orders no more than the cap', async () => {
    const copies = { every: 0.1, mostPerServer: 2 * MIB, mostInAll: 3 * MIB };
    await using test = await startTestServer(kind, { ...QUICK, copies });
    await using fleet = new CopyingFleet(test);
    const [one, two] = [await fleet.add('one'), await fleet.add('two')];
    const [three, four] = [await fleet.add('three'), await fleet.add('four')];
    const content = madeUp('f', 'f', 8 * MIB);
    await fleet.publish(content, () => [one, two], 2);
    for (const server of [two, three, four]) server.isIdle = true;
    two.holds.get(content.manifestSha256)?.delete(3);
    await fleet.tell(two, content.manifestSha256);
    fleet.silence(one);
    await fleet.until(async () => (await eventsOf(test, 'copies.lost')).length > 0);
    assert.deepEqual(await eventsOf(test, 'copies.lost'), [
      { manifest: content.manifestSha256, name: 'f', chunks: 1 },
    ]);
    await fleet.until(async () => (await eventsOf(test, 'chunks.copy')).length > 1);
    const rows = await test.database.queries
      .selectFrom('copies')
      .select(['bytes', 'server_number'])
      .execute();
    assert.ok(rows.every(({ bytes }) => bytes <= 2 * MIB));
    assert.ok(rows.reduce((sum, { bytes }) => sum + bytes, 0) <= 3 * MIB);
  });

  it('moves copies to servers that are new, when told to, and says before what would move', async () => {
    await using test = await startTestServer(kind, QUICK);
    await using fleet = new CopyingFleet(test);
    const [one, two] = [await fleet.add('one'), await fleet.add('two')];
    const content = madeUp('g', 'g', 30 * MIB);
    await fleet.publish(content, () => [one, two], 2);
    const three = await fleet.add('three');
    const publisher = await fleet.fleet.user('publisher');
    assert.equal((await test.ask('POST', '/v1/rebalance', {}, publisher.token)).status, 403);
    const shown = (await test.ask('POST', '/v1/rebalance', { dryRun: true })).body as RebalanceAnswer;
    assert.equal(shown.contents, 1);
    assert.ok(shown.chunks > 0 && shown.chunks < 30, String(shown.chunks));
    assert.equal(shown.bytes, shown.chunks * MIB);
    const takes = shown.servers.reduce((sum, each) => sum + each.takes, 0);
    const gives = shown.servers.reduce((sum, each) => sum + each.gives, 0);
    assert.deepEqual([takes, gives], [shown.bytes, shown.bytes]);
    assert.deepEqual(await eventsOf(test, 'chunks.copy'), []);
    const done = (await test.ask('POST', '/v1/rebalance', { dryRun: false })).body as RebalanceAnswer;
    assert.equal(done.chunks, shown.chunks);
    const onThree = (): number => three.holds.get(content.manifestSha256)?.size ?? 0;
    await fleet.until(() => onThree() === shown.chunks && fleet.copies(content).every((each) => each === 2));
    await fleet.until(async () => (await eventsOf(test, 'repair.done')).length > 0);
    const after = (await test.ask('POST', '/v1/rebalance', { dryRun: true })).body as RebalanceAnswer;
    assert.equal(after.bytes, 0);
  });
});
