import type { Dispatcher } from 'undici';

import { secureContext } from '../../transport/authorities.ts';
import type { TransportSettings } from '../../transport/connection.ts';
import { openProxyAgent } from '../../transport/proxy-agent.ts';

/** Connections to one server, straight or through the proxy for it. undici is loaded here, for those who call a fleet. */
export async function openDispatcher(server: URL, settings: TransportSettings): Promise<Dispatcher> {
  const { connectTimeout, tls } = settings;
  const proxy = settings.proxyFor(server);
  if (proxy !== undefined) return openProxyAgent(proxy, settings, () => undefined);
  // Reading the system's authorities takes its time.
  const secure =
    server.protocol === 'https:'
      ? { secureContext: secureContext(tls), rejectUnauthorized: tls.insecure !== true }
      : {};
  const { Agent } = await import('undici');
  return new Agent({ connect: { timeout: connectTimeout, ...secure }, allowH2: false });
}
