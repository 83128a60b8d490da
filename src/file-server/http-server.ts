import { createServer, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';

import {
  HEADER_TIMEOUT,
  KEEP_ALIVE_TIMEOUT,
  MOST_CONNECTIONS,
  MOST_HEADER_BYTES,
  REQUEST_TIMEOUT,
  SEND_TIMEOUT,
} from './limits.ts';

/** Times after which a connection is given up, milliseconds; see the limits of the same names. */
export interface ConnectionTimes {
  readonly header: number;
  readonly request: number;
  readonly keepAlive: number;
  readonly send: number;
}

export const CONNECTION_TIMES: ConnectionTimes = {
  header: HEADER_TIMEOUT,
  request: REQUEST_TIMEOUT,
  keepAlive: KEEP_ALIVE_TIMEOUT,
  send: SEND_TIMEOUT,
};

/** Node's HTTP server under this project's limits; it listens nowhere yet. */
export function newHttpServer(
  tls: { readonly cert: string; readonly key: string } | undefined,
  times: ConnectionTimes,
): Server {
  const settings = {
    keepAlive: true,
    noDelay: true,
    maxHeaderSize: MOST_HEADER_BYTES,
    headersTimeout: times.header,
    requestTimeout: times.request,
    keepAliveTimeout: times.keepAlive,
    connectionsCheckingInterval: Math.min(5_000, times.header / 2),
  };
  const server: Server =
    tls === undefined
      ? createServer(settings)
      : createTlsServer({ ...settings, ...tls, handshakeTimeout: times.header });
  server.maxConnections = MOST_CONNECTIONS;
  // The size of the head bounds their number already; the default would drop fields without a word.
  server.maxHeadersCount = 0;
  server.timeout = times.send;
  return server;
}
