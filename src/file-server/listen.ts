import type { Server } from 'node:http';
import { isIPv6, type AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';

import { HeadwaterError } from '../core/errors.ts';
import { PORTS_TRIED } from './limits.ts';

export interface WantedPort {
  /** 0 for any free one. */
  readonly port: number;
  /** Whether it must be this one; otherwise the next free one above it does as well. */
  readonly exact: boolean;
}

/**
 * Makes the server listen. `address` undefined: on all of this machine's.
 *
 * @throws HeadwaterError `HW_LISTEN`
 */
export async function listenOn(
  server: Server,
  wanted: WantedPort,
  address: string | undefined,
): Promise<AddressInfo> {
  const last = wanted.exact || wanted.port === 0 ? wanted.port : Math.min(65_535, wanted.port + PORTS_TRIED);
  for (let port = wanted.port; ; port++) {
    try {
      await listenOnce(server, port, address);
      return server.address() as AddressInfo;
    } catch (cause) {
      const { code, message } = cause as NodeJS.ErrnoException;
      if (code === 'EADDRINUSE' && port < last) continue;
      throw new HeadwaterError('HW_LISTEN', listenMessage(code, message, port, address), {
        cause,
        details: { port, address: address ?? null },
      });
    }
  }
}

/** Where others reach what is bound there: for "all addresses" one of this machine's. */
export function urlOf({ address, port }: AddressInfo, scheme: 'http' | 'https'): string {
  const host = address === '::' || address === '0.0.0.0' ? ownAddress() : address;
  return `${scheme}://${isIPv6(host) ? `[${host}]` : host}:${port}/`;
}

function listenOnce(server: Server, port: number, address: string | undefined): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen({ port, ...(address !== undefined && { host: address }), backlog: 1024 }, () => {
    server.off('error', reject);
    resolve();
  });
  return promise;
}

function listenMessage(
  code: string | undefined,
  message: string,
  port: number,
  address = 'all addresses',
): string {
  if (code === 'EADDRINUSE') return `port ${port} on ${address} is in use`;
  if (code === 'EACCES') return `port ${port} may not be listened on without more rights`;
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') return `${address} is not an address of this machine`;
  return `cannot listen on port ${port} of ${address}: ${message}`;
}

function ownAddress(): string {
  for (const addresses of Object.values(networkInterfaces())) {
    for (const { family, internal, address } of addresses ?? [])
      if (family === 'IPv4' && !internal) return address;
  }
  return 'localhost';
}
