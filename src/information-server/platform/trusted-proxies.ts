import { isIP } from 'node:net';

/** Names that stand for addresses of this machine, of its link and of private networks (RFC 1918, RFC 4193). */
const NAMED = new Set(['loopback', 'linklocal', 'uniquelocal']);

/**
 * Whether a text names proxies whose `X-Forwarded-For` can be believed: an address, a network such as 10.0.0.0/8, or
 * `loopback`, `linklocal`, `uniquelocal`.
 */
export function namesProxies(text: string): boolean {
  if (NAMED.has(text)) return true;
  const [address = '', bits, ...rest] = text.split('/');
  const family = isIP(address);
  if (family === 0 || rest.length > 0) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128));
}
