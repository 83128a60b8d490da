import { rename, rm } from 'node:fs/promises';
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';

import { HeadwaterError } from '../../core/errors.ts';

/**
 * `refs`: how many chunks of contents held here it is, each position counted. `kept_at`, `keep_until`: when somebody asked
 * for it last without a content that refers to it, and until when it stays for him. All times are milliseconds since 1970.
 */
const SCHEMA = `
create table if not exists facts (key text primary key, value text not null) without rowid;
create table if not exists chunks (digest blob primary key, size integer not null, verified_at integer not null,
  kept_at integer not null, keep_until integer not null, refs integer not null default 0) without rowid;
create index if not exists chunks_verified on chunks (verified_at);
create index if not exists chunks_unused on chunks (keep_until) where refs = 0;
create table if not exists contents (manifest text primary key, packed blob not null);
create table if not exists held (manifest text primary key, has blob not null, held_at integer not null) without rowid;
create table if not exists orders (id text primary key, manifest text not null, chunks text not null,
  sources text not null, at integer not null) without rowid;
`;
const SCHEMA_VERSION = 1;

type Row = Record<string, unknown>;

export interface IndexedChunk {
  readonly digest: Buffer;
  /** Bytes. */
  readonly size: number;
  readonly verifiedAt: number;
}

/** Which chunks are here, which contents refer to them, and what is still to be copied. Its calls block, for microseconds. */
export class ChunkIndex {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  /** What it says cannot be relied on: it is new, or the process before ended in the middle of its work. */
  readonly doubtful: boolean;

  private constructor(path: string) {
    this.#database = new DatabaseSync(path, { timeout: 5_000 });
    try {
      this.#database.exec(
        'pragma journal_mode = wal; pragma synchronous = normal; pragma cache_size = -8192',
      );
      const version = Number(this.#database.prepare('pragma user_version').get()?.['user_version']);
      if (version > SCHEMA_VERSION) {
        throw new HeadwaterError('HW_DISK', `${path} was written by a newer version of this program`);
      }
      this.#database.exec(SCHEMA);
      this.#database.exec(`pragma user_version = ${SCHEMA_VERSION}`);
      this.doubtful = this.fact('clean') !== '1';
      // Touches every page of the table, so that a broken one is found now.
      this.totals();
      this.setFact('clean', '0');
    } catch (error) {
      this.#database.close();
      throw error;
    }
  }

  /**
   * A broken one is put aside and made anew; the folder tells what it said.
   *
   * @throws HeadwaterError `HW_DISK`
   */
  static async open(path: string, onBroken: (why: Error) => void): Promise<ChunkIndex> {
    try {
      return new ChunkIndex(path);
    } catch (cause) {
      if (cause instanceof HeadwaterError) throw cause;
      if (!isBroken(cause)) throw unusable(path, cause);
      onBroken(cause as Error);
    }
    try {
      await rename(path, `${path}.broken`);
      await rm(`${path}-wal`, { force: true });
      await rm(`${path}-shm`, { force: true });
      return new ChunkIndex(path);
    } catch (cause) {
      throw unusable(path, cause);
    }
  }

  has(digest: Buffer): boolean {
    return this.get('select 1 from chunks where digest = ?', digest) !== undefined;
  }

  /** Bytes of a chunk that is here. */
  sizeOf(digest: Buffer): number | undefined {
    const size = this.get('select size from chunks where digest = ?', digest)?.['size'];
    return size === undefined ? undefined : Number(size);
  }

  /** True when it was not there. */
  add({ digest, size, verifiedAt }: IndexedChunk, now: number, keepUntil: number): boolean {
    const added = this.run(
      'insert or ignore into chunks values (?, ?, ?, ?, ?, 0)',
      digest,
      size,
      verifiedAt,
      now,
      keepUntil,
    );
    if (added === 0) this.keep(digest, now, keepUntil);
    return added > 0;
  }

  /** Keeps it at least until then; false when it is not here. */
  keep(digest: Buffer, now: number, until: number): boolean {
    const kept = this.run(
      'update chunks set kept_at = ?, keep_until = max(keep_until, ?) where digest = ?',
      now,
      until,
      digest,
    );
    return kept > 0;
  }

  /** Bytes that it had. */
  remove(digest: Buffer): number | undefined {
    const size = this.get('delete from chunks where digest = ? returning size', digest)?.['size'];
    return size === undefined ? undefined : Number(size);
  }

  /** The same, unless something refers to it or it is kept for somebody. */
  removeUnused(digest: Buffer, now: number): number | undefined {
    const sql = 'delete from chunks where digest = ? and refs = 0 and keep_until < ? returning size';
    const size = this.get(sql, digest, now)?.['size'];
    return size === undefined ? undefined : Number(size);
  }

  unused(now: number, most: number): Buffer[] {
    const sql = 'select digest from chunks where refs = 0 and keep_until < ? limit ?';
    return this.all(sql, now, most).map(({ digest }) => bufferOf(digest));
  }

  /** Those that were read longest ago. */
  oldest(most: number): IndexedChunk[] {
    const rows = this.all('select digest, size, verified_at from chunks order by verified_at limit ?', most);
    return rows.map((row) => ({
      digest: bufferOf(row['digest']),
      size: Number(row['size']),
      verifiedAt: Number(row['verified_at']),
    }));
  }

  verified(digest: Buffer, at: number): void {
    this.run('update chunks set verified_at = ? where digest = ?', at, digest);
  }

  /** Digests that begin with these two bytes. */
  beginningWith(first: number, second: number): Buffer[] {
    const from = Buffer.from([first, second]);
    const next = first * 256 + second + 1;
    const rows =
      next > 0xffff
        ? this.all('select digest from chunks where digest >= ?', from)
        : this.all(
            'select digest from chunks where digest >= ? and digest < ?',
            from,
            Buffer.from([next >> 8, next & 255]),
          );
    return rows.map(({ digest }) => bufferOf(digest));
  }

  totals(): { readonly chunks: number; readonly bytes: number } {
    const row = this.get('select count(*) as chunks, coalesce(sum(size), 0) as bytes from chunks');
    return { chunks: Number(row?.['chunks'] ?? 0), bytes: Number(row?.['bytes'] ?? 0) };
  }

  fact(key: string): string | undefined {
    const value = this.get('select value from facts where key = ?', key)?.['value'];
    return typeof value === 'string' ? value : undefined;
  }

  setFact(key: string, value: string): void {
    this.run(
      'insert into facts values (?, ?) on conflict (key) do update set value = excluded.value',
      key,
      value,
    );
  }

  run(sql: string, ...values: SQLInputValue[]): number {
    return Number(this.#statement(sql).run(...values).changes);
  }

  get(sql: string, ...values: SQLInputValue[]): Row | undefined {
    return this.#statement(sql).get(...values);
  }

  all(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.#statement(sql).all(...values);
  }

  /** Everything in it, or nothing. */
  together<T>(work: () => T): T {
    if (this.#database.isTransaction) return work();
    this.#database.exec('begin immediate');
    try {
      const result = work();
      this.#database.exec('commit');
      return result;
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('rollback');
      throw error;
    }
  }

  /** `clean`: nothing was under way, so that what it says can be relied on the next time. */
  close(clean: boolean): void {
    if (!this.#database.isOpen) return;
    try {
      if (clean) this.setFact('clean', '1');
    } catch {
      // A full disk: the next time it is held against the folder.
    } finally {
      this.#database.close();
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

export function bufferOf(value: unknown): Buffer {
  const { buffer, byteOffset, byteLength } = value as Uint8Array<ArrayBuffer>;
  return Buffer.from(buffer, byteOffset, byteLength);
}

/** SQLITE_CORRUPT and SQLITE_NOTADB. */
function isBroken(error: unknown): boolean {
  const code = Number((error as { errcode?: unknown }).errcode) & 0xff;
  return code === 11 || code === 26;
}

function unusable(path: string, cause: unknown): HeadwaterError {
  const message = `${path} cannot be used: ${(cause as Error).message}; it can be deleted: the chunks themselves tell what it said`;
  return new HeadwaterError('HW_DISK', message, { cause });
}
