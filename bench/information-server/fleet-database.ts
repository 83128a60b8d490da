import { randomBytes } from 'node:crypto';

import { sql } from 'kysely';
import { Client } from 'pg';

import { openDatabase, type Database, type DatabaseKind } from '../../src/database/database.ts';
import { newId } from '../../src/database/ids.ts';
import { digestOf } from '../../src/information-server/authentication.ts';
import type { Workspace } from '../workspace.ts';

/** A PostgreSQL in which databases can be made. */
const POSTGRES = process.env['HEADWATER_BENCH_POSTGRES'] ?? 'postgres://postgres@127.0.0.1:5432/postgres';
/** Milliseconds between signs of life of servers that are there only in the database. */
const ALIVE_EVERY = 2_000;

/** Files that one statement makes. */
const FILES_AT_ONCE = 20_000;

/** A file server that is there only in the database, and what it proves itself with. */
export interface MadeUpServer {
  readonly id: string;
  readonly token: string;
}

/** A fleet's database that a benchmark fills, removed in the end. */
export class FleetDatabase implements AsyncDisposable {
  readonly kind: DatabaseKind;
  /** What `HEADWATER_DATABASE_URL` says. */
  readonly where: string;
  readonly #database: Database;
  readonly #resources: AsyncDisposableStack;
  readonly #servers: MadeUpServer[] = [];
  #areQuiet = false;

  private constructor(where: string, database: Database, resources: AsyncDisposableStack) {
    this.kind = database.kind;
    this.where = where;
    this.#database = database;
    this.#resources = resources;
  }

  /** Whether a PostgreSQL is there. */
  static async hasPostgres(): Promise<boolean> {
    return askPostgres('select 1').then(
      () => true,
      () => false,
    );
  }

  static async make(kind: DatabaseKind, workspace: Workspace): Promise<FleetDatabase> {
    const resources = new AsyncDisposableStack();
    const name = `headwater_bench_${randomBytes(4).toString('hex')}`;
    let where = workspace.at(`${name}.sqlite`);
    if (kind === 'postgresql') {
      await askPostgres(`create database ${name}`);
      resources.defer(() => askPostgres(`drop database ${name} with (force)`));
      where = Object.assign(new URL(POSTGRES), { pathname: `/${name}` }).href;
    } else resources.defer(() => workspace.remove(where, `${where}-wal`, `${where}-shm`));
    const database = await openDatabase(where);
    resources.defer(() => database.close());
    return new FleetDatabase(where, database, resources);
  }

  /** Session tokens of new accounts. */
  async addUsers(count: number): Promise<string[]> {
    const now = Date.now();
    const tokens: string[] = [];
    for (let at = 0; at < count; at++) {
      const id = newId(now);
      const token = randomBytes(24).toString('base64url');
      const user = { id, email: `${id}@example.org`, role: 'reader' as const, password: 'none', disabled: 0 };
      await this.#database.queries
        .insertInto('users')
        .values({ ...user, created_at: now })
        .execute();
      const session = { digest: digestOf(token), user_id: id, created_at: now, expires_at: now + 86_400_000 };
      await this.#database.queries.insertInto('sessions').values(session).execute();
      tokens.push(token);
    }
    return tokens;
  }

  /** The servers that were added. */
  get servers(): readonly MadeUpServer[] {
    return this.#servers;
  }

  /** The servers give no more signs of life here: they send heartbeats themselves until this is disposed of. */
  quiet(): Disposable {
    this.#areQuiet = true;
    return { [Symbol.dispose]: () => (this.#areQuiet = false) };
  }

  /** Servers that run, and go on giving signs of life; their numbers. */
  async addServers(count: number): Promise<number[]> {
    const now = Date.now();
    const made = Array.from({ length: count }, () => ({
      id: newId(now),
      token: randomBytes(24).toString('base64url'),
    }));
    this.#servers.push(...made);
    const rows = made.map(({ id, token }, at) => ({
      id,
      name: `server-${at}`,
      zone: `zone-${at % 3}`,
      url: `http://server-${at}.test:7401`,
      token_digest: digestOf(token),
      instance: 1,
      state: 'running' as const,
      wanted: 'running' as const,
      version: '1',
      last_seen_at: now,
      registered_at: now,
      ...NOTHING_YET,
    }));
    const numbers: number[] = [];
    for (let from = 0; from < rows.length; from += 500) {
      const part = this.#database.queries.insertInto('servers').values(rows.slice(from, from + 500));
      numbers.push(...(await part.returning('number').execute()).map(({ number }) => number));
    }
    const alive = setInterval(() => {
      if (this.#areQuiet) return;
      const seen = this.#database.queries.updateTable('servers').set({ last_seen_at: Date.now() });
      seen.execute().catch(() => undefined);
    }, ALIVE_EVERY);
    this.#resources.defer(() => clearInterval(alive));
    return numbers;
  }

  /**
   * Files of 100 MiB, each held by some of the servers, made by the database itself. The names are paths as people have
   * them: few words again and again, years, numbers.
   *
   * @returns ids of the first few
   */
  async addFiles(
    count: number,
    servers: readonly number[],
    holders: number,
    chunkDigests: boolean,
  ): Promise<string[]> {
    const postgres = this.kind === 'postgresql';
    const hex = (text: string) =>
      sql.raw(postgres ? `lpad(to_hex(${text}), 8, '0')` : `printf('%08x', ${text})`);
    const digest = sql`${hex('n')} || ${sql.lit('0'.repeat(56))}`;
    const digests = chunkDigests
      ? postgres
        ? sql`decode(repeat('ab', 3200), 'hex')`
        : sql`zeroblob(3200)`
      : sql`null`;
    const word = `(case n % 8 ${WORDS.map((each, at) => `when ${at} then '${each}'`).join(' ')} end)`;
    // A number that looks like chance, the same on both databases.
    const chance = '((n * 2654435761) % 4294967291)';
    const name = `'project-' || (${chance} % 5000) || '/' || ${word} || 's/' || (2000 + ${chance} % 26) || '/' || ${word}
      || '-' || (${chance} % 1000000) || '-' || n || (case n % 3 when 0 then '.tar.gz' when 1 then '.mp4' else '.bin' end)`;
    const big = sql.raw(postgres ? 'n::bigint' : 'n');
    // In parts: no statement of ours may take long, whatever else the machine does.
    for (let from = 1; from <= count; from += FILES_AT_ONCE) {
      const to = Math.min(count, from + FILES_AT_ONCE - 1);
      const numbers = postgres
        ? sql`select generate_series(${sql.lit(from)}, ${sql.lit(to)}) as n`
        : sql`with recursive series (n) as (select ${sql.lit(from)} union all select n + 1 from series where n < ${sql.lit(to)})
            select n from series`;
      await this.#database.transaction(async (db) => {
        const series = sql`(select ${big} as n from (${numbers}) as plain) as series`;
        await sql`insert into contents (manifest_sha256, sha256, size, chunk_size, chunk_digests, created_at)
          select ${digest}, ${digest}, ${SIZE}, 1048576, ${digests}, 1700000000000 + n from ${series}`.execute(
          db,
        );
        await sql`insert into files (id, name, name_folded, content_id, size, visibility, created_at)
          select ${hex('n')} || '-0000-7000-8000-000000000000', ${sql.raw(name)}, ${sql.raw(name)},
            (select id from contents where manifest_sha256 = ${digest}),
            ${sql.raw(`${chance} % 100000000`)}, 'everyone', 1700000000000 + n from ${series}`.execute(db);
      });
    }
    for (let copy = 0; copy < holders; copy++) {
      const first = Math.min(...servers);
      await sql`insert into holdings (content_id, server_number, name, listing)
        select content_id, ${sql.lit(first)} + (number + ${sql.lit(copy)}) % ${sql.lit(servers.length)}, name, 1
        from files`.execute(this.#database.queries);
    }
    await sql`${sql.raw(postgres ? 'vacuum analyze' : 'analyze')}`.execute(this.#database.queries);
    const rows = await this.#database.queries.selectFrom('files').select('id').limit(100).execute();
    return rows.map(({ id }) => id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }
}

/** Bytes: 100 chunks, a manifest of 7 kB. */
const SIZE = 104_857_600;
const WORDS = ['report', 'photo', 'dataset', 'backup', 'film', 'model', 'log', 'archive'];
const NOTHING_YET = {
  command_revision: 0,
  capacity: null,
  free: null,
  answers: 0,
  clients: 0,
  rate: 0,
  bytes_sent: 0,
  clock_ahead: 0,
  holdings_version: 1,
  holdings_listing: 1,
  holdings_open: 0,
  files: 0,
};

async function askPostgres(statement: string): Promise<void> {
  const client = new Client({ connectionString: POSTGRES, connectionTimeoutMillis: 3_000 });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
