import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe } from 'node:test';

import { Client } from 'pg';

import { openDatabase, type Database, type DatabaseKind } from '../../../src/database/database.ts';

/** Where tests find a PostgreSQL that lets them make databases. */
const POSTGRES = process.env['HEADWATER_TEST_POSTGRES'] ?? 'postgres://postgres@127.0.0.1:5432/postgres';

/** A database of a test's own: empty, with tables. */
export interface TestDatabase extends AsyncDisposable {
  readonly database: Database;
  /** What `openDatabase` takes, to open it again. */
  readonly where: string;
}

/** Why tests on PostgreSQL are skipped; false where there is one. */
export const withoutPostgres = await reach();

/** Runs the same suite on SQLite and on PostgreSQL. */
export function onEachDatabase(name: string, suite: (make: () => Promise<TestDatabase>) => void): void {
  describe(`${name}, on SQLite`, () => suite(() => makeDatabase('sqlite')));
  describe(`${name}, on PostgreSQL`, { skip: withoutPostgres }, () =>
    suite(() => makeDatabase('postgresql')),
  );
}

export async function makeDatabase(kind: DatabaseKind): Promise<TestDatabase> {
  return kind === 'sqlite' ? makeSqlite() : makePostgres();
}

async function makeSqlite(): Promise<TestDatabase> {
  const folder = await mkdtemp(join(tmpdir(), 'headwater-database-'));
  const where = join(folder, 'fleet.sqlite');
  const database = await openDatabase(where);
  return {
    database,
    where,
    async [Symbol.asyncDispose]() {
      await database.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function makePostgres(): Promise<TestDatabase> {
  const name = `headwater_test_${randomBytes(6).toString('hex')}`;
  await ask(`create database ${name}`);
  const address = new URL(POSTGRES);
  address.pathname = `/${name}`;
  const database = await openDatabase(address.href);
  return {
    database,
    where: address.href,
    async [Symbol.asyncDispose]() {
      await database.close();
      await ask(`drop database ${name} with (force)`);
    },
  };
}

async function ask(statement: string): Promise<void> {
  const client = new Client({ connectionString: POSTGRES, connectionTimeoutMillis: 3_000 });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

async function reach(): Promise<string | false> {
  try {
    await ask('select 1');
    return false;
  } catch (error) {
    return `no PostgreSQL at ${POSTGRES}: ${error instanceof Error ? error.message : String(error)}`;
  }
}
