import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';

import type { Database } from '../../src/database/database.ts';
import { fenced } from '../../src/information-server/leadership/leader-task.ts';
import { makeDatabase, type TestDatabase } from '../unit/database/each-database.ts';
import { onEachKind } from './each-kind.ts';
import { ServerProcess } from './server-process.ts';

/** Milliseconds after the death of a leader within which there is another one. */
const TAKEOVER = 6_000;

interface Readiness {
  readonly ready: boolean;
  readonly leader: boolean;
  readonly leaderUrl: string | null;
  readonly informationServers: readonly string[];
}

onEachKind('of three information servers', (kind) => {
  it('one leads; another does within 6 s of its SIGKILL, and one comes back as a follower', async (t) => {
    await using fleet = await threeOf(t, kind);
    const { servers, database } = fleet;
    const leader = await theLeader(servers);
    await untilTrue('all know all', async () =>
      (await Promise.all(servers.map(readiness))).every(
        ({ informationServers }) => informationServers.length === 3,
      ),
    );
    const epoch = await epochOf(database);
    const began = performance.now();
    await leader.kill();
    const rest = servers.filter((each) => each !== leader);
    const next = await theLeader(rest);
    const took = performance.now() - began;
    assert.ok(took < TAKEOVER, `it took ${took} ms`);
    assert.equal(await epochOf(database), epoch + 1);
    for (const server of rest) {
      await untilTrue(
        'the new leader is known',
        async () => (await readiness(server)).leaderUrl === next.url,
      );
    }
    await using back = await ServerProcess.start(fleet.data, { database: fleet.where });
    assert.equal((await readiness(back)).leader, false);
    assert.equal(await epochOf(database), epoch + 1);
    const told = await database.queries
      .selectFrom('events')
      .select('data')
      .where('kind', '=', 'leader.changed')
      .execute();
    assert.equal(told.length, epoch + 1);
  });

  it('a leader that was stopped and continues leads no more, and what it then writes is refused', async (t) => {
    await using fleet = await threeOf(t, kind);
    const { servers, database } = fleet;
    const leader = await theLeader(servers);
    const epoch = await epochOf(database);
    const rest = servers.filter((each) => each !== leader);
    const began = performance.now();
    leader.signal('SIGSTOP');
    const next = await theLeader(rest);
    assert.ok(performance.now() - began < TAKEOVER);
    // As long as a leader might have slept: what it does on waking is the same.
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, 20_000 - (performance.now() - began))));
    leader.signal('SIGCONT');
    // Never two, from the first moment on.
    for (let look = 0; look < 50; look++) {
      const leaders = (await Promise.all(servers.map(readiness))).filter(({ leader }) => leader);
      assert.ok(leaders.length <= 1);
    }
    await untilTrue('it follows', async () => (await readiness(leader)).leaderUrl === next.url);
    await assert.rejects(
      fenced(database, epoch, async (db) => {
        await db.insertInto('fleet').values({ key: 'late', value: '' }).execute();
      }),
      { code: 'HW_STALE_EPOCH' },
    );
    assert.equal(await epochOf(database), epoch + 1);
    const late = await database.queries.selectFrom('fleet').selectAll().where('key', '=', 'late').execute();
    assert.deepEqual(late, []);
  });

  it('one that is stopped cleanly gives the lead up at once, and is no longer named', async (t) => {
    await using fleet = await threeOf(t, kind);
    const { servers } = fleet;
    const leader = await theLeader(servers);
    assert.deepEqual(await leader.end(), { status: 0 });
    const began = performance.now();
    const rest = servers.filter((each) => each !== leader);
    await theLeader(rest);
    // Well before the lease would have run out.
    assert.ok(performance.now() - began < 3_000);
    for (const server of rest) {
      await untilTrue('it is forgotten', async () => {
        const { informationServers } = await readiness(server);
        return informationServers.length === 2 && !informationServers.includes(leader.url);
      });
    }
  });
});

async function threeOf(t: TestContext, kind: 'sqlite' | 'postgresql') {
  const made: TestDatabase = await makeDatabase(kind);
  const data = await mkdtemp(join(tmpdir(), 'headwater-leaders-'));
  const { where, database } = made;
  const servers = await Promise.all([1, 2, 3].map(() => ServerProcess.start(data, { database: where })));
  t.after(() => Promise.all(servers.map((server) => server.kill())));
  return {
    data,
    where,
    database,
    servers,
    async [Symbol.asyncDispose]() {
      await Promise.all(servers.map((server) => server.kill()));
      await made[Symbol.asyncDispose]();
      await rm(data, { recursive: true, force: true });
    },
  };
}

async function readiness({ url }: ServerProcess): Promise<Readiness> {
  return (await (await fetch(`${url}/readyz`)).json()) as Readiness;
}

async function theLeader(servers: readonly ServerProcess[]): Promise<ServerProcess> {
  let leader: ServerProcess | undefined;
  await untilTrue('one leads', async () => {
    const all = await Promise.all(servers.map(readiness));
    const leading = servers.filter((_server, index) => all[index]?.leader === true);
    assert.ok(leading.length <= 1, 'two lead');
    leader = leading[0];
    return leader !== undefined;
  });
  assert.ok(leader !== undefined);
  return leader;
}

async function epochOf({ queries }: Database): Promise<number> {
  const { epoch } = await queries.selectFrom('leases').select('epoch').executeTakeFirstOrThrow();
  return epoch;
}

async function untilTrue(what: string, look: () => Promise<boolean>): Promise<void> {
  const began = performance.now();
  while (!(await look())) {
    assert.ok(performance.now() - began < 30_000, `${what}: never`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
