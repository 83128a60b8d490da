import { GrantClaims } from '../../core/api/files.ts';
import { HeadwaterError } from '../../core/errors.ts';
import { MOST_TOKEN_LENGTH } from './limits.ts';

/** A grant as it was sent: read, and not yet believed. */
export interface GrantToken {
  readonly kid: string;
  readonly claims: GrantClaims;
  /** What was signed: the first two parts with their dot (RFC 7515, section 5.2). */
  readonly signed: string;
  readonly signature: Buffer;
}

const SHAPE = /^([\w-]+)\.([\w-]+)\.([\w-]{86})$/;

/**
 * Reads a compact JWS (RFC 7515, section 7.1) that could be a grant: signed with Ed25519 (RFC 8037), and nothing else. The
 * algorithm is decided here, never by the token: one that names another is refused before any key is looked at.
 *
 * @throws HeadwaterError `HW_TOKEN_INVALID`
 */
export function readGrantToken(token: string): GrantToken {
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
  const claims = GrantClaims.safeParse(jsonOf(payload));
  if (!claims.success) throw invalid('lacks claims of a grant');
  return {
    kid,
    claims: claims.data,
    signed: `${head}.${payload}`,
    signature: Buffer.from(signature, 'base64url'),
  };
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
