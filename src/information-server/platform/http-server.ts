import { readFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { isIPv6, type AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';

import { HeadwaterError } from '../../core/errors.ts';
import type { App } from '../context.ts';
import type { StartSettings } from '../settings.ts';

/** Longest request head, bytes; above it 431. */
const MOST_HEAD = 16 * 1024;
/** Milliseconds for a request's head to arrive; then 408. */
const HEAD_TIMEOUT = 15_000;
/** Milliseconds for a whole request to arrive: nobody who means it needs longer. */
const REQUEST_TIMEOUT = 30_000;
/** Milliseconds that an unused connection is kept: longer than the minute of common load balancers. */
const KEEP_ALIVE = 75_000;
/**
 * Milliseconds without a byte in either direction after which a connection is cut: whoever does not take an answer must not
 * keep it in memory. Streams say every few seconds that they are there, and nobody waits for an answer longer than a minute.
 */
const SILENT_TIMEOUT = 120_000;
/** Open connections; above it new ones are closed at once. 2,000 file servers and 10,000 clients have one or two each. */
const MOST_CONNECTIONS = 30_000;
/** Descriptors that are left for everything else, the database and a broker among it. */
const OTHER_FILES = 500;
/**
 * Connections that wait to be accepted: all of 2,000 file servers come at once after a restart. Above it the kernel drops
 * them and a client tries again after 1, 3, 7 and 15 s, longer than a server may be silent. Linux takes 4,096 at most.
 */
const BACKLOG = 4_096;

/** Node's HTTP server under our limits. It listens nowhere yet. */
export function newHttpServer(handler: RequestListener, tls: StartSettings['tls']): Server {
  const options = {
    keepAlive: true,
    noDelay: true,
    maxHeaderSize: MOST_HEAD,
    headersTimeout: HEAD_TIMEOUT,
    requestTimeout: REQUEST_TIMEOUT,
    keepAliveTimeout: KEEP_ALIVE,
    connectionsCheckingInterval: 5_000,
  };
  const server: Server =
    tls === undefined
      ? createServer(options, handler)
      : createTlsServer({ ...options, ...tls, handshakeTimeout: HEAD_TIMEOUT }, handler);
  server.timeout = SILENT_TIMEOUT;
  server.maxConnections = Math.min(MOST_CONNECTIONS, Math.max(OTHER_FILES, openFiles() - OTHER_FILES));
  return server;
}

/** Files that this process may have open, where the system says so. */
function openFiles(): number {
  try {
    const limits = readFileSync('/proc/self/limits', 'utf8');
    const [, soft] = /^Max open files +(\d+)/m.exec(limits) ?? [];
    return soft === undefined ? Infinity : Number(soft);
  } catch {
    return Infinity;
  }
}

/**
 * Makes the app listen.
 *
 * @returns where it is reached, without a slash at the end
 * @throws HeadwaterError `HW_LISTEN`
 */
export async function listen(
  app: App,
  { address, port, tls }: Pick<StartSettings, 'address' | 'port' | 'tls'>,
): Promise<string> {
  const hosts = address === undefined ? ['::', '0.0.0.0'] : [address];
  for (const [index, host] of hosts.entries()) {
    try {
      await app.listen({ host, port, backlog: BACKLOG });
      break;
    } catch (cause) {
      const { code, message } = cause as NodeJS.ErrnoException;
      // A machine without IPv6.
      if ((code === 'EAFNOSUPPORT' || code === 'EADDRNOTAVAIL') && index + 1 < hosts.length) continue;
      const said = listenMessage(code, message, port, host);
      throw new HeadwaterError('HW_LISTEN', said, { cause, details: { port, address: host } });
    }
  }
  const bound = app.server.address() as AddressInfo;
  return urlOf(bound, tls === undefined ? 'http' : 'https');
}

function urlOf({ address, port }: AddressInfo, scheme: string): string {
  const host = address === '::' || address === '0.0.0.0' ? ownAddress() : address;
  return `${scheme}://${isIPv6(host) ? `[${host}]` : host}:${port}`;
}

function listenMessage(code: string | undefined, message: string, port: number, host: string): string {
  if (code === 'EADDRINUSE') return `port ${port} on ${host} is in use`;
  if (code === 'EACCES') return `port ${port} may not be listened on without more rights`;
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') return `${host} is not an address of this machine`;
  return `cannot listen on port ${port} of ${host}: ${message}`;
}

function ownAddress(): string {
  for (const addresses of Object.values(networkInterfaces())) {
    for (const { family, internal, address } of addresses ?? [])
      if (family === 'IPv4' && !internal) return address;
  }
  return '127.0.0.1';
}
