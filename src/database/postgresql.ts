import type { Socket } from 'node:net';

import { Pool, types, type PoolClient } from 'pg';

/** Connections of one information server; PostgreSQL takes 100 of all unless told otherwise. */
const MOST_CONNECTIONS = 10;
/** Milliseconds to wait for one before the caller is told that the database is away. */
const CONNECT_TIMEOUT = 5_000;
/** Milliseconds that a statement may take: none of ours takes a second. */
const STATEMENT_TIMEOUT = 20_000;
/**
 * Milliseconds that a transaction may wait for us between its statements. PostgreSQL ends it then: a process that was
 * stopped in the middle of one would hold its locks, and nobody could take the lead from it.
 */
const IDLE_IN_TRANSACTION = 3_000;
/** Milliseconds without a byte from PostgreSQL, which answers every statement before, after which a connection is lost. */
const CONNECTION_SILENT = 25_000;

/** Numbers of 8 bytes come as text, since not all fit a double; none of ours is larger than 2^53. */
const INT8 = 20;
types.setTypeParser(INT8, Number);

export function openPool(address: string): Pool {
  const pool = new Pool({
    connectionString: address,
    max: MOST_CONNECTIONS,
    connectionTimeoutMillis: CONNECT_TIMEOUT,
    statement_timeout: STATEMENT_TIMEOUT,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION,
    application_name: 'headwater',
  });
  // An idle connection that is lost is no news: the next query opens another or fails itself.
  pool.on('error', () => undefined);
  pool.on('connect', (client) => {
    // Nor is one that is lost between two statements of a transaction: the second one fails.
    client.on('error', () => undefined);
    const socket = socketOf(client);
    socket?.setTimeout(CONNECTION_SILENT, () => socket.destroy());
  });
  return pool;
}

function socketOf(client: PoolClient): Socket | undefined {
  return (client as PoolClient & { connection?: { stream?: Socket } }).connection?.stream;
}
