import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';

import { CompiledQuery, type DatabaseConnection, type Driver, type QueryResult } from 'kysely';

import { Mutex } from './mutex.ts';

/** Milliseconds that a statement may block on another process's write before it gives way to our own other work. */
const BUSY_BLOCK = 20;
/** Milliseconds that beginning to write is tried for before it is given up. */
const BUSY_LIMIT = 10_000;
/** Kibibytes of pages kept by what reads: an index of a million names. The system keeps the rest of the file. */
const READER_CACHE_KIB = 32_768;
/** Kibibytes of pages kept by what writes, which comes back to few of them. */
const WRITER_CACHE_KIB = 8_192;
/** Statements kept ready: more than the program has. */
const MOST_STATEMENTS = 500;
/**
 * Characters of a statement that is kept ready. Those that write many rows at once come in as many lengths as there are
 * numbers of rows, and each takes as much memory as its rows.
 */
const MOST_KEPT_TEXT = 2_000;

/**
 * Runs queries on `node:sqlite`, whose calls block. What changes something goes over one connection, one transaction at a
 * time; single reads go over another, so that they never see half of a transaction of this process.
 */
export class NodeSqliteDriver implements Driver {
  readonly #path: string;
  readonly #turns = new Mutex();
  #writer: SqliteConnection | undefined;
  #reader: SqliteConnection | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  async init(): Promise<void> {
    // Where several processes make a new file at once, all but one find it locked.
    const writer = await untilFree(() => openFile(this.#path, WRITER_CACHE_KIB));
    this.#writer = new SqliteConnection(writer);
    this.#reader = new SqliteConnection(await untilFree(() => openFile(this.#path, READER_CACHE_KIB)));
  }

  /** Kysely asks for a connection before it says what for: one that decides at its first statement. */
  async acquireConnection(): Promise<DatabaseConnection> {
    if (this.#writer === undefined || this.#reader === undefined) throw new Error('the database is not open');
    return new Lease(this.#writer, this.#reader, this.#turns);
  }

  async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await leaseOf(connection).begin();
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    leaseOf(connection).end('commit');
  }

  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    leaseOf(connection).end('rollback');
  }

  async releaseConnection(connection: DatabaseConnection): Promise<void> {
    leaseOf(connection).release();
  }

  async destroy(): Promise<void> {
    this.#reader?.close();
    this.#writer?.close();
    this.#reader = this.#writer = undefined;
  }
}

function openFile(path: string, cache: number): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: BUSY_BLOCK });
  try {
    setUp(database, cache);
  } catch (error) {
    database.close();
    throw error;
  }
  return database;
}

function setUp(database: DatabaseSync, cache: number): void {
  // With WAL, NORMAL loses no consistency: a power failure may lose the last commits, a crash of the process none.
  database.exec('pragma journal_mode = wal; pragma synchronous = normal; pragma foreign_keys = on');
  // A mapped file would count as memory of the process, and be hardly faster: pages are in the system's cache anyway.
  database.exec(`pragma cache_size = -${cache}; pragma temp_store = memory; pragma mmap_size = 0`);
  // What a large change has left of the log of changes is given back.
  database.exec('pragma journal_size_limit = 67108864');
}

function leaseOf(connection: DatabaseConnection): Lease {
  if (!(connection instanceof Lease)) throw new Error('not a connection of this driver');
  return connection;
}

/** A connection as Kysely holds it: the writer's once it writes or begins a transaction, the reader's before. */
class Lease implements DatabaseConnection {
  readonly #writer: SqliteConnection;
  readonly #reader: SqliteConnection;
  readonly #turns: Mutex;
  #free: (() => void) | undefined;
  #inTransaction = false;

  constructor(writer: SqliteConnection, reader: SqliteConnection, turns: Mutex) {
    this.#writer = writer;
    this.#reader = reader;
    this.#turns = turns;
  }

  async begin(): Promise<void> {
    this.#free ??= await this.#turns.take();
    await untilFree(() => this.#writer.run('begin immediate'));
    this.#inTransaction = true;
  }

  end(how: 'commit' | 'rollback'): void {
    this.#inTransaction = false;
    // SQLite has rolled back by itself after some errors, such as a full disk.
    if (how === 'rollback' && !this.#writer.inTransaction) return;
    this.#writer.run(how);
  }

  release(): void {
    this.#free?.();
    this.#free = undefined;
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    if (this.#inTransaction) {
      // What came after a full disk would otherwise be written on its own.
      if (!this.#writer.inTransaction) throw new Error('the transaction was undone by an error before');
      return this.#writer.execute<R>(query);
    }
    if (readsOnly(query)) return untilFree(() => this.#reader.execute<R>(query));
    const free = await this.#turns.take();
    try {
      return await untilFree(() => this.#writer.execute<R>(query));
    } finally {
      free();
    }
  }

  // eslint-disable-next-line require-yield
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error('streaming is not offered');
  }
}

/** A select, also one that is written by hand: what begins with a name for a part of it can end in a change. */
function readsOnly({ query, sql }: CompiledQuery): boolean {
  return query.kind === 'SelectQueryNode' || (query.kind === 'RawNode' && /^\s*select\b/i.test(sql));
}

class SqliteConnection {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  get inTransaction(): boolean {
    return this.#database.isTransaction;
  }

  run(statement: string): void {
    this.#database.exec(statement);
  }

  execute<R>({ sql, parameters }: CompiledQuery): QueryResult<R> {
    const statement = this.#prepared(sql);
    const values = parameters as readonly SQLInputValue[];
    // A statement without columns changes something and gives no rows.
    if (statement.columns().length > 0) return { rows: statement.all(...values) as R[] };
    const { changes, lastInsertRowid } = statement.run(...values);
    return { rows: [], numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid) };
  }

  close(): void {
    this.#statements.clear();
    this.#database.close();
  }

  #prepared(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const made = this.#database.prepare(sql);
    if (sql.length > MOST_KEPT_TEXT) return made;
    if (this.#statements.size >= MOST_STATEMENTS) this.#statements.clear();
    this.#statements.set(sql, made);
    return made;
  }
}

/** Tries again while another process writes, letting our own work go on in between. */
async function untilFree<T>(run: () => T): Promise<T> {
  const until = performance.now() + BUSY_LIMIT;
  for (;;) {
    try {
      return run();
    } catch (error) {
      if (!isBusy(error) || performance.now() > until) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** SQLITE_BUSY (5) and its extended codes. */
function isBusy(error: unknown): boolean {
  const { errcode } = error as { errcode?: number };
  return errcode !== undefined && (errcode & 0xff) === 5;
}
