import { mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';

import { Kysely, PostgresDialect, type Transaction } from 'kysely';

import { HeadwaterError } from '../core/errors.ts';
import { hasToldOf } from './append-events.ts';
import { mapErrors } from './error-mapping.ts';
import { migrate } from './migrate.ts';
import { openPool } from './postgresql.ts';
import { NodeSqliteDialect } from './sqlite/node-sqlite-dialect.ts';
import type { Tables } from './tables.ts';

export type DatabaseKind = 'sqlite' | 'postgresql';
/** What queries are asked of: the database itself, or a transaction of it. */
export type Queries = Kysely<Tables>;

/** Where the fleet's state is. */
export interface Database {
  readonly kind: DatabaseKind;
  /** For single statements. Failures to reach the database come as `HW_DATABASE`, a full disk as `HW_DISK_FULL`. */
  readonly queries: Queries;
  /** All or nothing. The work must do nothing but ask the database: on SQLite every other writer waits for it. */
  transaction<T>(work: (queries: Transaction<Tables>) => Promise<T>): Promise<T>;
  /**
   * Calls `listener` after each transaction of this process that has committed events; what others commit is found by
   * looking. Gives what ends it.
   */
  onEvents(listener: () => void): () => void;
  close(): Promise<void>;
}

/**
 * Opens the database and brings its tables up to date, under a lock, so that several can start at once.
 *
 * @param where a `postgres://` address, or the path of the SQLite file
 * @throws HeadwaterError `HW_DATABASE`, `HW_DISK`, `HW_USAGE` (an address that is neither)
 */
export async function openDatabase(where: string): Promise<Database> {
  const kind = kindOf(where);
  if (kind === 'sqlite') await makeFile(where);
  const dialect =
    kind === 'sqlite' ? new NodeSqliteDialect(where) : new PostgresDialect({ pool: openPool(where) });
  const kysely = new Kysely<Tables>({ dialect: mapErrors(dialect) });
  const listeners = new Set<() => void>();
  const database: Database = {
    kind,
    queries: kysely,
    transaction: async (work) => {
      let tells = false;
      const result = await kysely.transaction().execute(async (db) => {
        const result = await work(db);
        tells = hasToldOf(db);
        return result;
      });
      if (tells) for (const listener of listeners) listener();
      return result;
    },
    onEvents: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close: () => kysely.destroy(),
  };
  try {
    await migrate(database);
  } catch (error) {
    await kysely.destroy();
    throw error;
  }
  return database;
}

function kindOf(where: string): DatabaseKind {
  if (/^postgres(ql)?:\/\//.test(where)) return 'postgresql';
  if (/^[a-z][a-z+.-]+:\/\//i.test(where)) {
    throw new HeadwaterError('HW_USAGE', 'the database is a path or an address that begins with postgres://');
  }
  return 'sqlite';
}

/** Makes the folder, and the file: readable by its owner alone, for it holds what signs grants. */
async function makeFile(path: string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    // SQLite gives its other files the rights of this one.
    await (await open(path, 'a', 0o600)).close();
  } catch (cause) {
    const { message } = cause as Error;
    throw new HeadwaterError('HW_DISK', `cannot write the database ${path}: ${message}`, { cause });
  }
}
