import { sql, type Kysely } from 'kysely';

import { HeadwaterError } from '../core/errors.ts';
import type { Database, DatabaseKind } from './database.ts';
import { first } from './migrations/first.ts';
import { second } from './migrations/second.ts';
import type { Tables } from './tables.ts';

type Migration = (db: Kysely<Tables>, kind: DatabaseKind) => Promise<void>;

/** In order; one that was published is never changed. */
const MIGRATIONS: readonly Migration[] = [first, second];

/** Number of the PostgreSQL lock that says who migrates: any that nobody else uses. */
const LOCK = 0x6865_6164;

/**
 * Brings the tables up to date: all missing steps in one transaction, so that a crash leaves none half done.
 *
 * @throws HeadwaterError `HW_DATABASE` when a newer program has been here
 */
export async function migrate(database: Database): Promise<void> {
  await database.transaction(async (db) => {
    if (database.kind === 'postgresql') await sql`select pg_advisory_xact_lock(${LOCK})`.execute(db);
    await sql`create table if not exists schema_version (version integer not null)`.execute(db);
    const { rows } = await sql<{ version: number }>`select version from schema_version`.execute(db);
    const version = rows[0]?.version ?? 0;
    if (version > MIGRATIONS.length) {
      const said = `the database has version ${version}; this program knows ${MIGRATIONS.length}: use a newer one`;
      throw new HeadwaterError('HW_DATABASE', said);
    }
    for (const step of MIGRATIONS.slice(version)) await step(db, database.kind);
    if (rows.length === 0) await sql`insert into schema_version values (${MIGRATIONS.length})`.execute(db);
    else await sql`update schema_version set version = ${MIGRATIONS.length}`.execute(db);
  });
}
