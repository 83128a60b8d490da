import type { Connection, TransportSettings } from './connection.ts';
import { DirectConnection } from './direct-connection.ts';

/** A connection to `origin` (`http:` or `https:`; path and query do not matter). Opens nothing before its first request. */
export function openConnection(origin: URL, settings: TransportSettings): Connection {
  return new DirectConnection(origin, settings);
}
