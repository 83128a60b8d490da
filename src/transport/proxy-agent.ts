import type { Client, Dispatcher, ProxyAgent } from 'undici';

import { secureContext } from './authorities.ts';
import type { TransportSettings } from './connection.ts';
import { MOST_HEAD_BYTES } from './head-reader.ts';
import { proxyRefuses, proxyWantsCredentials } from './proxy-errors.ts';

/** Milliseconds that a connection without a request is kept; most servers keep theirs for 60 s or less. */
const KEEP_IDLE = 60_000;

/**
 * An undici agent that leads to one origin through a proxy over one connection at a time: `http:` origins by asking
 * the proxy for the whole URL, `https:` ones through a tunnel (RFC 9110 section 9.3.6). `connected` is called for
 * each connection that stands. undici is loaded here, so that a download without a proxy never pays for it.
 */
export async function openProxyAgent(
  proxy: URL,
  settings: TransportSettings,
  connected: () => void,
): Promise<ProxyAgent> {
  const undici = await import('undici');
  const { connectTimeout, tls } = settings;
  const rejectUnauthorized = tls.insecure !== true;
  const forOrigin = proxyTls(settings);
  return new undici.ProxyAgent({
    // Without path and query, which mean nothing here and are refused by undici.
    uri: new URL('/', proxy).href,
    connectTimeout,
    requestTls: { secureContext: secureContext(tls), rejectUnauthorized },
    ...(proxy.protocol === 'https:' && { proxyTls: forOrigin }),
    factory: (origin, options) => {
      const limits = { maxHeaderSize: MOST_HEAD_BYTES, keepAliveTimeout: KEEP_IDLE };
      const patience = { headersTimeout: 0, bodyTimeout: 0 };
      return new undici.Client(origin, {
        ...(options as Client.Options),
        allowH2: false,
        ...limits,
        ...patience,
      }).on('connect', connected);
    },
    // Only tunnels are asked for here, so a proxy that does not answer is like a server that cannot be reached.
    clientFactory: (origin, options) => {
      const pool = new undici.Pool(origin, { ...options, allowH2: false, headersTimeout: connectTimeout });
      const tunnel = pool.connect.bind(pool);
      return Object.assign(pool, {
        connect: async (options: Dispatcher.ConnectOptions) => opened(await tunnel(options), proxy),
      });
    },
  });
}

/** What the proxy itself is shown and trusted by: never the certificate that is meant for the origin. */
function proxyTls({ tls }: TransportSettings): {
  secureContext: ReturnType<typeof secureContext>;
  rejectUnauthorized: boolean;
} {
  const { ca, insecure = false } = tls;
  return {
    secureContext: secureContext({ insecure, ...(ca !== undefined && { ca }) }),
    rejectUnauthorized: !insecure,
  };
}

function opened(tunnel: Dispatcher.ConnectData, proxy: URL): Dispatcher.ConnectData {
  const { statusCode } = tunnel;
  if (statusCode === 200) return tunnel;
  tunnel.socket.on('error', () => {}).destroy();
  throw statusCode === 407 ? proxyWantsCredentials(proxy) : proxyRefuses(proxy, statusCode);
}
