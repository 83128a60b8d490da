import assert from 'node:assert/strict';
import { it } from 'node:test';

import { appendEvents } from '../../../src/database/append-events.ts';
import { openDatabase } from '../../../src/database/database.ts';
import { onEachDatabase } from './each-database.ts';

onEachDatabase('the database', (make) => {
  it('is opened by several at once and has its tables', async () => {
    await using made = await make();
    const others = await Promise.all([1, 2, 3].map(() => openDatabase(made.where)));
    for (const other of others) {
      assert.deepEqual(await other.queries.selectFrom('users').selectAll().execute(), []);
      await other.close();
    }
  });

  it('undoes a transaction that fails', async () => {
    await using made = await make();
    const { database } = made;
    const failing = database.transaction(async (db) => {
      await db.insertInto('fleet').values({ key: 'a', value: '1' }).execute();
      throw new Error('no');
    });
    await assert.rejects(failing, /no/);
    assert.deepEqual(await database.queries.selectFrom('fleet').selectAll().execute(), []);
  });

  it('shows no read half of a transaction', async () => {
    await using made = await make();
    const { database } = made;
    let seen: unknown;
    await database.transaction(async (db) => {
      await db.insertInto('fleet').values({ key: 'a', value: '1' }).execute();
      seen = await database.queries.selectFrom('fleet').selectAll().execute();
    });
    assert.deepEqual(seen, []);
    const after = await database.queries.selectFrom('fleet').selectAll().execute();
    assert.deepEqual(
      after.map(({ key, value }) => [key, value]),
      [['a', '1']],
    );
  });

  it('shows events in the order of their positions, never one before an earlier one', async () => {
    await using made = await make();
    const { database } = made;
    const seen = new Set<number>();
    const written = new AbortController();
    const reader = (async () => {
      let last = 0;
      while (!written.signal.aborted) {
        const rows = await database.queries
          .selectFrom('events')
          .select('position')
          .where('position', '>', last)
          .orderBy('position')
          .execute();
        for (const { position } of rows) seen.add((last = position));
      }
    })();
    const audience = 'all' as const;
    const writers = Array.from({ length: 40 }, async (_, index) =>
      database.transaction(async (db) => {
        const events = [1, 2, 3].map((part) => ({ kind: 'k', audience, data: { index, part } }));
        await appendEvents(db, database.kind, events, Date.now());
      }),
    );
    await Promise.all(writers);
    written.abort();
    await reader;
    const all = await database.queries.selectFrom('events').select('position').execute();
    assert.equal(all.length, 120);
    const newest = Math.max(0, ...seen);
    for (const { position } of all)
      if (position <= newest) assert.ok(seen.has(position), `${position} was not seen`);
  });
});
