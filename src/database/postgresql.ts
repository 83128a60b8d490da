import { Pool, types } from 'pg';

/** Connections of one information server; PostgreSQL takes 100 of all unless told otherwise. */
const MOST_CONNECTIONS = 10;
/** Milliseconds to wait for one before the caller is told that the database is away. */
const CONNECT_TIMEOUT = 5_000;
/** Milliseconds that a statement may take: none of ours takes a second. */
const STATEMENT_TIMEOUT = 20_000;

/** Numbers of 8 bytes come as text, since not all fit a double; none of ours is larger than 2^53. */
const INT8 = 20;
types.setTypeParser(INT8, Number);

export function openPool(address: string): Pool {
  const pool = new Pool({
    connectionString: address,
    max: MOST_CONNECTIONS,
    connectionTimeoutMillis: CONNECT_TIMEOUT,
    statement_timeout: STATEMENT_TIMEOUT,
    application_name: 'headwater',
  });
  // An idle connection that is lost is no news: the next query opens another or fails itself.
  pool.on('error', () => undefined);
  return pool;
}
