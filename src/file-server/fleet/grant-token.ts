import { GrantClaims } from '../../core/api/files.ts';
import { HeadwaterError } from '../../core/errors.ts';
import { MOST_TOKEN_LENGTH } from './limits.ts';
import type { Signed } from './verify-signed.ts';

/** A grant as it was sent: read, and not yet believed. */
export interface GrantToken extends Signed {
  readonly claims: GrantClaims;
}

/** A token as it was sent. */
interface ReadToken extends Signed {
  /** What it says, whatever that is. */
  readonly payload: unknown;
}

const SHAPE = /^([\w-]+)\.([\w-]+)\.([\w-]{86})$/;

/**
 * Reads a compact JWS (RFC 7515, section 7.1): signed with Ed25519 (RFC 8037), and nothing else. The algorithm is decided
 * here, never by the token: one that names another is refused before any key is looked at.
 *
 * @throws HeadwaterError `HW_TOKEN_INVALID`
 */
export function readToken(token: string): ReadToken {
  if (token.length > MOST_TOKEN_LENGTH) throw invalid(`is longer than ${MOST_TOKEN_LENGTH} characters`);
  const [, head, payload, signature] = SHAPE.exec(token) ?? [];
  if (head === undefined || payload === undefined || signature === undefined) {
    throw invalid('is not a signed JWT');
  }
  const header = jsonOf(head);
  if (header?.['alg'] !== 'EdDSA') throw invalid('is not signed with EdDSA');
  // What a critical extension means is not known here, and that is reason enough (RFC 7515, section 4.1.11).
  if ('crit' in header) throw invalid('has critical extensions');
  const kid = header['kid'];
  if (typeof kid !== 'string' || kid === '') throw invalid('names no key');
  return {
    kid,
    payload: jsonOf(payload),
    signed: `${head}.${payload}`,
    signature: Buffer.from(signature, 'base64url'),
  };
}

/**
 * Reads a token that could be a grant.
 *
 * @throws HeadwaterError `HW_TOKEN_INVALID`
 */
export function readGrantToken(token: string): GrantToken {
  const { payload, ...signed } = readToken(token);
  const claims = GrantClaims.safeParse(payload);
  if (!claims.success) throw invalid('lacks claims of a grant');
  return { ...signed, claims: claims.data };
}

export function invalid(why: string): HeadwaterError {
  return new HeadwaterError('HW_TOKEN_INVALID', `the token ${why}`);
}

function jsonOf(part: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString());
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
