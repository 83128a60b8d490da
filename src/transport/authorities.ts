import type { SecureContext } from 'node:tls';

import { HeadwaterError } from '../core/errors.ts';
import type { TransportSettings } from './connection.ts';
import { nodeTls } from './node-tls.ts';

type TlsSettings = TransportSettings['tls'];

/** Reading the system's authorities takes tens of milliseconds, so every connection of a download shares one. */
const contexts = new WeakMap<TlsSettings, SecureContext>();

/**
 * Whom to trust and who we are. Trusted are the system's authorities (Node's own list where the system has none),
 * those of NODE_EXTRA_CA_CERTS, and `ca`.
 *
 * @throws HeadwaterError `HW_USAGE` when a certificate or key given cannot be read
 */
export function secureContext(settings: TlsSettings): SecureContext {
  const known = contexts.get(settings);
  if (known !== undefined) return known;
  const context = newContext(settings);
  contexts.set(settings, context);
  return context;
}

function newContext({ ca, cert, key, insecure }: TlsSettings): SecureContext {
  const identity = { ...(cert !== undefined && { cert }), ...(key !== undefined && { key }) };
  try {
    return nodeTls().createSecureContext(insecure === true ? identity : { ...identity, ca: authorities(ca) });
  } catch (cause) {
    throw new HeadwaterError(
      'HW_USAGE',
      'The certificate, key or authority given is not readable PEM, or they do not belong together.',
      { cause },
    );
  }
}

/** The system's store names many certificates twice. */
export function authorities(ca?: string): string[] {
  const { getCACertificates } = nodeTls();
  const system = getCACertificates('system');
  const trusted = system.length > 0 ? system : getCACertificates('bundled');
  return [...new Set([...trusted, ...getCACertificates('extra'), ...(ca === undefined ? [] : [ca])])];
}
