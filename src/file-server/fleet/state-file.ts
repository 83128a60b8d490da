import { join } from 'node:path';
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';

import { HeadwaterError } from '../../core/errors.ts';

/**
 * What is known of files, holdings and grants. `version` of a holding is the number of its last change: what changed after
 * any version can be told, and what is gone is told from what was never there.
 */
const SCHEMA = `
create table if not exists facts (key text primary key, value text not null) without rowid;
create table if not exists files (
  folder text not null, name text not null, path text not null, state text not null, size integer not null,
  modified real not null, manifest text, retry_at real not null default 0, gone_at integer, primary key (folder, name)) without rowid;
create index if not exists files_manifest on files (manifest) where manifest is not null;
create index if not exists files_path on files (path);
create index if not exists files_pending on files (modified desc, retry_at, size)
  where manifest is null and gone_at is null;
create index if not exists files_resting on files (retry_at)
  where manifest is null and gone_at is null and retry_at > 0;
create index if not exists files_gone on files (gone_at) where gone_at is not null;
create table if not exists holdings (
  manifest text primary key, sha256 text not null, size integer not null, chunk_size integer not null, name text not null,
  missing text not null default '[]', version integer not null, held integer not null,
  withdrawn integer not null default 0, wanted integer not null default 0, chunks blob not null, stored blob);
create index if not exists holdings_held on holdings (held) where held = 1 and withdrawn = 0;
create index if not exists holdings_version on holdings (version);
create index if not exists holdings_gone on holdings (version) where held = 0;
create index if not exists holdings_stored on holdings (manifest) where stored is not null;
create index if not exists holdings_wanted on holdings (manifest) where wanted = 1;
create table if not exists revoked (kind text not null, id text not null, until integer not null, primary key (kind, id))
  without rowid;
create index if not exists revoked_until on revoked (until);
create table if not exists names (file text primary key, name text not null, at integer not null) without rowid;
`;
/** Version of the schema; another one is told again from the start. */
const SCHEMA_VERSION = 2;

/** Result code of SQLite for a full disk. */
const SQLITE_FULL = 13;

export type Row = Record<string, unknown>;

/** A file server's own database, one file in its data folder. Its calls block, for microseconds. */
export class StateFile {
  readonly #database: DatabaseSync;
  readonly #folder: string;
  readonly #statements = new Map<string, StatementSync>();

  /** @throws HeadwaterError `HW_DISK` */
  constructor(folder: string) {
    const path = join(folder, 'state.sqlite');
    this.#folder = folder;
    try {
      this.#database = new DatabaseSync(path, { timeout: 5_000 });
      // A crash of the process loses nothing; a power failure may lose the last changes, which are found again.
      this.#database.exec(
        'pragma journal_mode = wal; pragma synchronous = normal; pragma cache_size = -8192',
      );
      const version = Number(this.#database.prepare('pragma user_version').get()?.['user_version']);
      if (version > SCHEMA_VERSION) throw new Error(`it was written by a newer version of this program`);
      if (version === 1) this.#database.exec('alter table holdings add column stored blob');
      this.#database.exec(SCHEMA);
      this.#database.exec(`pragma user_version = ${SCHEMA_VERSION}`);
    } catch (cause) {
      const message = `${path} cannot be used: ${(cause as Error).message}; without it everything is hashed again`;
      throw new HeadwaterError('HW_DISK', message, { cause });
    }
  }

  run(sql: string, ...values: SQLInputValue[]): number {
    return this.#try(() => Number(this.#statement(sql).run(...values).changes));
  }

  get(sql: string, ...values: SQLInputValue[]): Row | undefined {
    return this.#try(() => this.#statement(sql).get(...values));
  }

  all(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.#try(() => this.#statement(sql).all(...values));
  }

  /** Everything in it, or nothing. */
  together<T>(work: () => T): T {
    if (this.#database.isTransaction) return work();
    this.#try(() => this.#database.exec('begin immediate'));
    try {
      const result = work();
      this.#try(() => this.#database.exec('commit'));
      return result;
    } catch (error) {
      // SQLite has rolled back by itself after some errors, such as a full disk.
      if (this.#database.isTransaction) this.#database.exec('rollback');
      throw error;
    }
  }

  fact(key: string): string | undefined {
    const value = this.get('select value from facts where key = ?', key)?.['value'];
    return typeof value === 'string' ? value : undefined;
  }

  setFact(key: string, value: string | number): void {
    this.run(
      'insert into facts values (?, ?) on conflict (key) do update set value = excluded.value',
      key,
      String(value),
    );
  }

  close(): void {
    if (this.#database.isOpen) this.#database.close();
  }

  /** @throws HeadwaterError `HW_DISK_FULL`, `HW_DISK` */
  #try<T>(work: () => T): T {
    try {
      return work();
    } catch (cause) {
      const { errcode, message } = cause as Error & { errcode?: number };
      if (errcode === SQLITE_FULL) {
        const said = `the disk of the data folder ${this.#folder} is full: what is new there is told to nobody until there is room`;
        throw new HeadwaterError('HW_DISK_FULL', said, { cause });
      }
      throw new HeadwaterError('HW_DISK', `the data folder ${this.#folder} fails: ${message}`, { cause });
    }
  }

  #statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}
