import { sql, type RawBuilder } from 'kysely';

import type { DatabaseKind } from './database.ts';

/**
 * The database's own time in a statement, milliseconds since 1970: what several processes decide by together must not
 * depend on the clocks of their machines.
 */
export function databaseClock(kind: DatabaseKind): RawBuilder<number> {
  return kind === 'postgresql'
    ? sql<number>`(extract(epoch from clock_timestamp()) * 1000)::bigint`
    : sql<number>`cast(unixepoch('subsec') * 1000 as integer)`;
}
