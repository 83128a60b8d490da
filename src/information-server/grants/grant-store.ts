import { sql, type Insertable, type Selectable, type Transaction } from 'kysely';

import type { DatabaseKind, Queries } from '../../database/database.ts';
import type { Tables } from '../../database/tables.ts';

export type GrantRow = Selectable<Tables['grants']>;
type NewGrantRow = Pick<
  Insertable<Tables['grants']>,
  'id' | 'file_id' | 'user_id' | 'credential' | 'zone' | 'created_at' | 'expires_at'
>;

/** Writes grants with one statement that is the same for any number: it is prepared once, and has one parameter. */
export async function insertGrants(
  db: Transaction<Tables>,
  kind: DatabaseKind,
  rows: readonly NewGrantRow[],
): Promise<void> {
  const json = JSON.stringify(
    rows.map((row) => [
      row.id,
      row.file_id,
      row.user_id,
      row.credential,
      row.zone,
      row.created_at,
      row.expires_at,
    ]),
  );
  const values =
    kind === 'postgresql'
      ? sql`select row ->> 0, row ->> 1, row ->> 2, row ->> 3, row ->> 4, (row ->> 5)::bigint, (row ->> 6)::bigint
          from json_array_elements(${json}::json) as rows (row)`
      : sql`select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6
          from json_each(${json})`;
  await sql`insert into grants (id, file_id, user_id, credential, zone, created_at, expires_at) ${values}`.execute(
    db,
  );
}

export async function readGrantRow(db: Queries, id: string): Promise<GrantRow | undefined> {
  return db.selectFrom('grants').selectAll().where('id', '=', id).executeTakeFirst();
}

/** Whether the session or API key that a grant was asked for with, and its account, are still good. */
export async function credentialHolds(
  db: Queries,
  { credential, user_id: userId }: Pick<GrantRow, 'credential' | 'user_id'>,
  now: number,
): Promise<
  { readonly id: string; readonly email: string; readonly role: 'reader' | 'publisher' | 'admin' } | undefined
> {
  const user = await db
    .selectFrom('users')
    .select(['id', 'email', 'role'])
    .where('id', '=', userId)
    .where('disabled', '=', 0)
    .executeTakeFirst();
  if (user === undefined) return undefined;
  const session = await db
    .selectFrom('sessions')
    .select('digest')
    .where('digest', '=', credential)
    .where('expires_at', '>', now)
    .executeTakeFirst();
  if (session !== undefined) return user;
  const key = await db
    .selectFrom('api_keys')
    .select('digest')
    .where('digest', '=', credential)
    .where((is) => is.or([is('expires_at', 'is', null), is('expires_at', '>', now)]))
    .executeTakeFirst();
  return key === undefined ? undefined : user;
}
