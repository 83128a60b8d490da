import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';

import { openDatabase } from '../../../src/database/database.ts';
import { Child } from '../client/storage/child.ts';
import { onEachDatabase } from './each-database.ts';

const PROGRAM = fileURLToPath(new URL('processes-program.ts', import.meta.url));

onEachDatabase('several processes on one database', (make) => {
  it('lose no change of one another', async (t) => {
    await using made = await make();
    await made.database.queries.insertInto('fleet').values({ key: 'sum', value: '0' }).execute();
    const children = [1, 2, 3, 4].map(() => new Child(t, PROGRAM, [made.where, '200']));
    for (const child of children) {
      assert.equal(await child.says(), 'open');
      assert.equal(await child.says(), '200');
    }
    const rows = await made.database.queries.selectFrom('fleet').selectAll().execute();
    assert.deepEqual(
      rows.map(({ value }) => value),
      ['800'],
    );
  });

  it('go on when one is killed in the middle of its changes', async (t) => {
    await using made = await make();
    const killed = new Child(t, PROGRAM, [made.where, '1000000']);
    const other = new Child(t, PROGRAM, [made.where, '100']);
    assert.equal(await killed.says(), 'open');
    assert.equal(await other.says(), 'open');
    await killed.kill();
    assert.equal(await other.says(), '100');
    await made.database.queries.insertInto('fleet').values({ key: 'mine', value: '' }).execute();
  });
});

it('a new file is made by one of many that start at once, and killing one in the middle spoils nothing', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'headwater-database-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  for (let round = 0; round < 6; round++) {
    const path = join(folder, `${round}.sqlite`);
    const children = [1, 2, 3].map(() => new Child(t, PROGRAM, [path, '1']));
    const first = children[0]?.says();
    // Somewhere between the start of the program and the end of its migration.
    await new Promise((resolve) => setTimeout(resolve, 40 * round + 60));
    await children[1]?.kill();
    await first;
    assert.equal(await children[2]?.says(), 'open');
    const database = await openDatabase(path);
    assert.deepEqual(await database.queries.selectFrom('users').selectAll().execute(), []);
    await database.close();
  }
});
