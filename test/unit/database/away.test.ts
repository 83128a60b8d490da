import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { sql } from 'kysely';

import { HeadwaterError } from '../../../src/core/errors.ts';
import { openDatabase, type Database } from '../../../src/database/database.ts';
import { CutLine } from './cut-line.ts';
import { makeDatabase, withoutPostgres } from './each-database.ts';

describe('a PostgreSQL that is away', { skip: withoutPostgres }, () => {
  it('makes queries and transactions fail with HW_DATABASE, and is used again once it is back', async () => {
    await using lab = await cuttable();
    const { database, line } = lab;
    await add(database, 'before');
    line.cut();
    for (let round = 0; round < 3; round++) {
      assert.equal((await failure(add(database, 'away'))).code, 'HW_DATABASE');
      assert.equal((await failure(names(database))).code, 'HW_DATABASE');
      const inTransaction = database.transaction(async (db) => {
        await db.insertInto('fleet').values({ key: 'away', value: '' }).execute();
      });
      assert.equal((await failure(inTransaction)).code, 'HW_DATABASE');
    }
    line.mend();
    await add(database, 'after');
    assert.deepEqual(await names(database), ['after', 'before']);
  });

  it('that is lost in the middle of a transaction undoes it, and says so', async () => {
    await using lab = await cuttable();
    const { database, line } = lab;
    const work = database.transaction(async (db) => {
      await db.insertInto('fleet').values({ key: 'half', value: '' }).execute();
      line.cut();
      await new Promise((resolve) => setImmediate(resolve));
      await db.insertInto('fleet').values({ key: 'other half', value: '' }).execute();
    });
    const error = await failure(work);
    assert.equal(error.code, 'HW_DATABASE');
    assert.match(error.message, /nothing was changed/);
    line.mend();
    assert.deepEqual(await names(database), []);
  });

  it('that is lost at the commit does not say that nothing was changed', async () => {
    await using lab = await cuttable();
    const { database, line } = lab;
    const work = database.transaction(async (db) => {
      await db.insertInto('fleet').values({ key: 'a', value: '' }).execute();
      line.cut();
    });
    const error = await failure(work);
    assert.equal(error.code, 'HW_DATABASE');
    assert.match(error.message, /look whether it was made/);
  });

  it('fails many that ask at once, and none of them for ever', async () => {
    await using lab = await cuttable();
    const { database, line } = lab;
    const asked = Array.from({ length: 100 }, () => failure(slowly(database)));
    line.cut();
    const codes = (await Promise.all(asked)).map(({ code }) => code);
    assert.deepEqual(new Set(codes), new Set(['HW_DATABASE']));
    line.mend();
    assert.deepEqual(await names(database), []);
  });

  it('that refuses the account or lacks the database says what is wrong, and is not waited for', async () => {
    await using made = await makeDatabase('postgresql');
    const address = new URL(made.where);
    address.pathname = '/headwater_no_such_database';
    const error = await failure(openDatabase(address.href));
    assert.equal(error.code, 'HW_DATABASE');
    assert.match(error.message, /refuses .*does not exist/);
    assert.equal(error.details['retryAfter'], undefined);
  });

  it('ends a transaction of ours that does nothing, so that no stopped process holds a lock', async () => {
    await using made = await makeDatabase('postgresql');
    const { database } = made;
    const never = Promise.withResolvers<void>();
    const idle = database.transaction(async (db) => {
      await db.insertInto('fleet').values({ key: 'a', value: '' }).execute();
      await never.promise;
      await db.insertInto('fleet').values({ key: 'b', value: '' }).execute();
    });
    // Waits for the lock that the first one holds, and has it when that one was ended.
    await add(database, 'a');
    never.resolve();
    assert.equal((await failure(idle)).code, 'HW_DATABASE');
    assert.deepEqual(await names(database), ['a']);
  });
});

it('a path that cannot be written and an address that is none are refused', async () => {
  assert.equal((await failure(openDatabase('/dev/null/fleet.sqlite'))).code, 'HW_DISK');
  assert.equal((await failure(openDatabase('mysql://localhost/x'))).code, 'HW_USAGE');
});

interface Lab extends AsyncDisposable {
  readonly database: Database;
  readonly line: CutLine;
}

async function cuttable(): Promise<Lab> {
  const made = await makeDatabase('postgresql');
  const line = await CutLine.to(made.where);
  const database = await openDatabase(line.through(made.where));
  return {
    database,
    line,
    async [Symbol.asyncDispose]() {
      await database.close();
      await line[Symbol.asyncDispose]();
      await made[Symbol.asyncDispose]();
    },
  };
}

async function add({ queries }: Database, key: string): Promise<void> {
  await queries.insertInto('fleet').values({ key, value: '' }).execute();
}

async function slowly({ queries }: Database): Promise<void> {
  await sql`select pg_sleep(5)`.execute(queries);
}

async function names({ queries }: Database): Promise<string[]> {
  const rows = await queries.selectFrom('fleet').select('key').orderBy('key').execute();
  return rows.map(({ key }) => key);
}

async function failure(work: Promise<unknown>): Promise<HeadwaterError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof HeadwaterError) return error;
    throw error;
  }
  throw new assert.AssertionError({ message: 'it did not fail' });
}
