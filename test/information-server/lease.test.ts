import assert from 'node:assert/strict';
import { it } from 'node:test';

import { pino } from 'pino';

import { openDatabase, type Database } from '../../src/database/database.ts';
import { fenced, type LeaderTask } from '../../src/information-server/leadership/leader-task.ts';
import { Leadership } from '../../src/information-server/leadership/leadership.ts';
import {
  readLease,
  releaseLease,
  renewLease,
  takeLease,
} from '../../src/information-server/leadership/lease.ts';
import { onEachDatabase } from '../unit/database/each-database.ts';

const ONE = { id: 'one', url: 'http://one.example' };
const TWO = { id: 'two', url: 'http://two.example' };
const LONG = 600_000;

onEachDatabase('the lease', (make) => {
  it('is taken by one of many that try at once, and by nobody while it is good', async () => {
    await using made = await make();
    const { database } = made;
    const tries = Array.from({ length: 10 }, (_, index) =>
      takeLease(database, { ...ONE, id: `${index}` }, LONG),
    );
    const epochs = (await Promise.all(tries)).filter((epoch) => epoch !== undefined);
    assert.deepEqual(epochs, [1]);
    assert.equal(await takeLease(database, TWO, LONG), undefined);
  });

  it('is renewed by its owner alone, and its epoch only grows', async () => {
    await using made = await make();
    const { database } = made;
    assert.equal(await takeLease(database, ONE, LONG), 1);
    assert.equal(await renewLease(database, ONE, 1, LONG), true);
    assert.equal(await renewLease(database, TWO, 1, LONG), false);
    await releaseLease(database, TWO);
    assert.ok(((await readLease(database))?.remaining ?? 0) > 0);
    await releaseLease(database, ONE);
    assert.equal(await takeLease(database, TWO, LONG), 2);
    assert.equal(await renewLease(database, ONE, 1, LONG), false);
    await releaseLease(database, TWO);
    assert.equal(await takeLease(database, ONE, LONG), 3);
  });

  it('refuses what a former leader writes, all of it', async () => {
    await using made = await make();
    const { database } = made;
    await takeLease(database, ONE, 0);
    await write(database, 1, 'in time');
    await takeLease(database, TWO, LONG);
    await assert.rejects(write(database, 1, 'late'), { code: 'HW_STALE_EPOCH' });
    await assert.rejects(write(database, 3, 'never'), { code: 'HW_STALE_EPOCH' });
    await write(database, 2, 'by the next');
    const rows = await database.queries.selectFrom('fleet').select('key').orderBy('key').execute();
    assert.deepEqual(
      rows.map(({ key }) => key),
      ['by the next', 'in time'],
    );
  });

  it('passes on only when what its owner is writing has ended, and can be renewed meanwhile', async () => {
    await using made = await make();
    const { database } = made;
    const other = await openDatabase(made.where);
    await takeLease(database, ONE, 0);
    const begun = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    const order: string[] = [];
    const writing = fenced(database, 1, async (db) => {
      await db.insertInto('fleet').values({ key: 'a', value: '' }).execute();
      begun.resolve();
      await goOn.promise;
      order.push('written');
    });
    await begun.promise;
    // SQLite has one writer at a time, so that a renewal waits there as everything does.
    if (database.kind === 'postgresql') assert.equal(await renewLease(other, ONE, 1, 0), true);
    const taking = takeLease(other, TWO, LONG).then((epoch) => order.push(`epoch ${epoch}`));
    await other.queries.selectFrom('leases').selectAll().execute();
    goOn.resolve();
    await Promise.all([writing, taking]);
    assert.deepEqual(order, ['written', 'epoch 2']);
    await other.close();
  });

  it('lets the tasks of one run, and those of another when the first has stopped', async () => {
    await using made = await make();
    const { database } = made;
    const ran: string[] = [];
    const [one, two] = [ONE, TWO].map((self) => leadership(database, self, [noting(ran, self.id)]));
    assert.ok(one !== undefined && two !== undefined);
    await one.start();
    await two.start();
    await until(() => ran.length >= 3);
    assert.deepEqual([one.isLeader, two.isLeader], [true, false]);
    assert.deepEqual(new Set(ran), new Set(['one 1']));
    assert.equal(two.leaderUrl, ONE.url);
    assert.deepEqual(two.members, [TWO.url, ONE.url]);
    await one.stop();
    const before = ran.length;
    await until(() => ran.length > before + 2);
    assert.deepEqual(new Set(ran.slice(before)), new Set(['two 2']));
    await two.stop();
    const after = ran.length;
    assert.ok(((await readLease(database))?.remaining ?? 1) <= 0);
    assert.equal(ran.length, after);
  });

  it('is not lost by a task that fails, and is by one that finds itself overtaken', async () => {
    await using made = await make();
    const { database } = made;
    let runs = 0;
    const failing: LeaderTask = {
      name: 'failing',
      every: 0.01,
      run: async (epoch) => {
        runs += 1;
        if (runs < 3) throw new Error('this once');
        if (runs === 3) {
          // As another server would, after this one slept.
          await database.queries
            .updateTable('leases')
            .set({ owner: 'two', epoch: epoch + 1 })
            .execute();
        }
        await fenced(database, epoch, async () => undefined);
      },
    };
    const one = leadership(database, ONE, [failing]);
    await one.start();
    await until(() => runs >= 3 && !one.isLeader);
    await one.stop();
    assert.equal(runs, 3);
  });
});

async function write(database: Database, epoch: number, key: string): Promise<void> {
  await fenced(database, epoch, async (db) => {
    await db.insertInto('fleet').values({ key, value: '' }).execute();
  });
}

function leadership(
  database: Database,
  self: { id: string; url: string },
  tasks: readonly LeaderTask[],
): Leadership {
  return new Leadership({ database, self, lease: 2_000, log: pino({ level: 'silent' }) }, tasks);
}

function noting(ran: string[], id: string): LeaderTask {
  return {
    name: 'noting',
    every: 0.01,
    run: async (epoch) => {
      ran.push(`${id} ${epoch}`);
    },
  };
}

async function until(done: () => boolean): Promise<void> {
  const began = performance.now();
  while (!done()) {
    assert.ok(performance.now() - began < 20_000, 'what was waited for never came');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
