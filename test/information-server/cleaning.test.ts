import assert from 'node:assert/strict';
import { it } from 'node:test';

import type { Context, LeaderTasks } from '../../src/information-server/context.ts';
import { filesTasks } from '../../src/information-server/files/tasks.ts';
import { grantsTasks } from '../../src/information-server/grants/tasks.ts';
import { newId } from '../../src/database/ids.ts';
import type { Database } from '../../src/database/database.ts';
import { onEachDatabase } from '../unit/database/each-database.ts';
import { addFile, addHolding, addServer } from './catalogue.ts';

const EPOCH = 3;
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** Runs a subject's tasks once, as a leader of an epoch. */
async function run(database: Database, tasks: LeaderTasks, now: number, epoch = EPOCH): Promise<void> {
  const context = { database, now: () => now } as Context;
  for (const task of tasks(context)) await task.run(epoch, new AbortController().signal);
}

async function lead(database: Database): Promise<void> {
  const lease = { name: 'leader', owner: 'me', url: '', epoch: EPOCH, expires_at: 0 };
  await database.queries.insertInto('leases').values(lease).execute();
}

onEachDatabase('the leader', (make) => {
  it('forgets grants a week after their end, and no others', async () => {
    await using made = await make();
    const { database } = made;
    const db = database.queries;
    await lead(database);
    const now = Date.now();
    const ends = [...Array.from({ length: 2_500 }, () => now - 8 * DAY), now - 6 * DAY, now + HOUR];
    const grants = ends.map((end) => ({
      id: newId(),
      file_id: newId(),
      user_id: newId(),
      credential: 'c',
      created_at: end - HOUR,
      expires_at: end,
    }));
    for (let from = 0; from < grants.length; from += 1_000)
      await db
        .insertInto('grants')
        .values(grants.slice(from, from + 1_000))
        .execute();
    await assert.rejects(run(database, grantsTasks, now, EPOCH - 1), { code: 'HW_STALE_EPOCH' });
    assert.equal((await db.selectFrom('grants').select('id').execute()).length, 2_502);
    await run(database, grantsTasks, now);
    const left = await db.selectFrom('grants').select('expires_at').orderBy('expires_at').execute();
    assert.deepEqual(
      left.map((row) => row.expires_at),
      ends.slice(-2),
    );
  });

  it('keeps the mark of a deleted file while a server holds it, and forgets both after', async () => {
    await using made = await make();
    const { database } = made;
    const db = database.queries;
    await lead(database);
    const now = Date.now();
    const server = await addServer(db, 's');
    const createdAt = now - 2 * DAY;
    const deleteAt = (number: string, at: number) =>
      db.updateTable('files').set({ deleted_at: at }).where('id', '=', number).execute();
    const [held, dropped, fresh, here] = [
      await addFile(db, 'held', { createdAt }),
      await addFile(db, 'dropped', { createdAt }),
      await addFile(db, 'fresh', { createdAt }),
      await addFile(db, 'here', { createdAt }),
    ];
    await deleteAt(held.id, now - DAY);
    await deleteAt(dropped.id, now - DAY);
    await deleteAt(fresh.id, now - HOUR / 2);
    await addHolding(db, held, server);
    const names = async (): Promise<string[]> =>
      (await db.selectFrom('files').select('name').orderBy('number').execute()).map(({ name }) => name);
    const contents = async (): Promise<number[]> =>
      (await db.selectFrom('contents').select('id').orderBy('id').execute()).map(({ id }) => id);
    await assert.rejects(run(database, filesTasks, now, EPOCH - 1), { code: 'HW_STALE_EPOCH' });
    await run(database, filesTasks, now);
    assert.deepEqual(await names(), ['held', 'fresh', 'here']);
    assert.deepEqual(await contents(), [held.contentId, fresh.contentId, here.contentId]);
    await db.deleteFrom('holdings').execute();
    await run(database, filesTasks, now + HOUR);
    assert.deepEqual(await names(), ['here']);
    assert.deepEqual(await contents(), [here.contentId]);
  });
});
