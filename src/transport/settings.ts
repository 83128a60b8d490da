import type { TransportSettings } from './connection.ts';

/** Ten seconds to connect, the system's authorities, no proxy. */
export const defaultTransportSettings: TransportSettings = {
  // Two lost SYN packets (1 s and 3 s) and a handshake across the world fit in.
  connectTimeout: 10_000,
  tls: {},
  proxyFor: () => undefined,
};
