import type { IncomingMessage } from 'node:http';

import { HeadwaterError } from '../../core/errors.ts';
import { invalid } from './grant-token.ts';

/**
 * The token that a request carries: `Authorization: Bearer` (RFC 6750, 2.1), or `?token=` for programs that can send no
 * fields. One that comes both ways is taken from the field.
 *
 * @throws HeadwaterError `HW_TOKEN_MISSING`, `HW_TOKEN_INVALID`
 */
export function tokenOf({ headers }: IncomingMessage, query: string): string {
  const { authorization } = headers;
  if (authorization !== undefined) {
    const token = /^Bearer +([^\s]+)$/i.exec(authorization)?.[1];
    if (token === undefined) throw invalid('is missing: the Authorization field is not "Bearer TOKEN"');
    return token;
  }
  for (const part of query.split('&')) if (part.startsWith('token=')) return decoded(part.slice(6));
  throw new HeadwaterError(
    'HW_TOKEN_MISSING',
    'this needs a grant: Authorization: Bearer TOKEN, or ?token=TOKEN',
  );
}

/** A token has no character that would have to be encoded; some programs do it all the same. */
function decoded(text: string): string {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid('is not rightly encoded');
  }
}
