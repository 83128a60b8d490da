import { sql, type Kysely } from 'kysely';

import type { DatabaseKind } from '../database.ts';
import type { Tables } from '../tables.ts';

/** Publishing into chunk stores, and copies that are made again. */
export async function second(db: Kysely<Tables>, kind: DatabaseKind): Promise<void> {
  const bytes = kind === 'postgresql' ? 'bytea' : 'blob';
  const statements = [
    'alter table files add column replicas integer',
    'alter table files add column zones integer',
    'alter table files add column released_at bigint',
    'alter table holdings add column stored integer not null default 0',
    'alter table servers add column store_capacity bigint',
    'alter table servers add column store_open integer not null default 0',
    'alter table servers add column store_chunks bigint not null default 0',
    'alter table servers add column store_bytes bigint not null default 0',
    'alter table servers add column repair_as text',
    'alter table servers add column drained_at bigint',
    `create table uploads (id text primary key, name text not null,
      user_id text not null references users(id) on delete cascade, replicas integer not null, zones integer not null,
      visibility text not null, replace integer not null, created_at bigint not null, keep_until bigint not null,
      file_id text)`,
    'create index uploads_keep on uploads (keep_until)',
    'create index uploads_user on uploads (user_id)',
    `create table copies (id text not null unique, content_id bigint not null references contents(id) on delete cascade,
      server_number bigint not null references servers(number) on delete cascade, chunks ${bytes} not null,
      bytes bigint not null, ordered_at bigint not null, deadline bigint not null,
      primary key (content_id, server_number))`,
    'create index copies_server on copies (server_number)',
    'create index copies_deadline on copies (deadline)',
    `create table drops (content_id bigint not null references contents(id) on delete cascade,
      server_number bigint not null references servers(number) on delete cascade, chunks ${bytes} not null,
      ordered_at bigint not null, primary key (content_id, server_number))`,
    'create index drops_server on drops (server_number)',
    'create index drops_ordered on drops (ordered_at)',
    `create table repairs (content_id bigint primary key references contents(id) on delete cascade, least integer,
      since bigint not null, look_at bigint not null, rebalance integer not null default 0)`,
    'create index repairs_look on repairs (look_at)',
    `create index files_unreleased on files (deleted_at)
      where deleted_at is not null and released_at is null and replicas is not null`,
  ];
  for (const statement of statements) await sql.raw(statement).execute(db);
}
