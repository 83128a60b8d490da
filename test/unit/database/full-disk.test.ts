import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';

import { sql } from 'kysely';

import { HeadwaterError } from '../../../src/core/errors.ts';
import { openDatabase, type Database } from '../../../src/database/database.ts';
import { asRoot, Mounted } from '../../faults/local/mounted.ts';

it(
  'a full disk under SQLite is told, loses nothing, and writing goes on when there is space',
  asRoot,
  async () => {
    await using disk = await Mounted.with('size=3m');
    const database = await openDatabase(join(disk.folder, 'fleet.sqlite'));
    try {
      let kept = 0;
      let full: unknown;
      while (full === undefined && kept < 1_000) {
        try {
          await add(database, kept);
          kept += 1;
        } catch (error) {
          full = error;
        }
      }
      assert.ok(full instanceof HeadwaterError && full.code === 'HW_DISK_FULL', String(full));
      assert.match(full.message, /nothing was changed/);
      // Reading goes on.
      assert.equal(await count(database), kept);
      for (let round = 0; round < 3; round++) {
        await assert.rejects(add(database, kept), { code: 'HW_DISK_FULL' });
        const two = database.transaction(async (db) => {
          // A caller that goes on after an error must not get half of it written.
          await db
            .insertInto('fleet')
            .values(row(-1))
            .execute()
            .catch(() => undefined);
          await db.insertInto('fleet').values({ key: 'small', value: '' }).execute();
        });
        await assert.rejects(two);
      }
      assert.equal(await count(database), kept);
      await disk.become('size=32m');
      await add(database, kept);
      await database.transaction(async (db) => {
        await db
          .insertInto('fleet')
          .values(row(kept + 1))
          .execute();
      });
      assert.equal(await count(database), kept + 2);
    } finally {
      await database.close();
    }
    const again = await openDatabase(join(disk.folder, 'fleet.sqlite'));
    const checked = await sql<{ integrity_check: string }>`pragma integrity_check`.execute(again.queries);
    assert.equal(checked.rows[0]?.integrity_check, 'ok');
    await again.close();
  },
);

it(
  'a full disk at the very first start is told, and the next start finds nothing half done',
  asRoot,
  async () => {
    await using disk = await Mounted.with('size=100k');
    const path = join(disk.folder, 'fleet.sqlite');
    await assert.rejects(openDatabase(path), { code: 'HW_DISK_FULL' });
    await disk.become('size=8m');
    const database = await openDatabase(path);
    assert.equal(await count(database), 0);
    await database.close();
  },
);

it('a file that is no database is told from one', asRoot, async () => {
  await using disk = await Mounted.with('size=1m');
  const path = join(disk.folder, 'fleet.sqlite');
  writeFileSync(
    path,
    'this is a letter to my aunt, and no database at all, however long one looks at it\n'.repeat(20),
  );
  await assert.rejects(openDatabase(path), { code: 'HW_DATABASE', message: /no database/ });
});

function row(index: number): { key: string; value: string } {
  return { key: `key-${index}`, value: 'x'.repeat(50_000) };
}

async function add({ queries }: Database, index: number): Promise<void> {
  await queries.insertInto('fleet').values(row(index)).execute();
}

async function count({ queries }: Database): Promise<number> {
  return (await queries.selectFrom('fleet').select('key').execute()).length;
}
