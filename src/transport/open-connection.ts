import type { Connection, TransportSettings } from './connection.ts';
import { DirectConnection } from './direct-connection.ts';
import { ProxiedConnection } from './proxied-connection.ts';

/**
 * A connection to `origin` (`http:` or `https:`; path and query do not matter), through a proxy where the settings name
 * one. Opens nothing before its first request.
 *
 * @throws HeadwaterError `HW_USAGE` when the proxy that is set for this origin cannot be one
 */
export function openConnection(origin: URL, settings: TransportSettings): Connection {
  const proxy = settings.proxyFor(origin);
  if (proxy === undefined) return new DirectConnection(origin, settings);
  return new ProxiedConnection(origin, proxy, settings);
}
