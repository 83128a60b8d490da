import type { FastifyRequest } from 'fastify';

import { HeadwaterError } from '../../core/errors.ts';
import { bearerOf, callerOf, type Caller } from '../authentication.ts';
import type { Context } from '../context.ts';
import { readGrant } from '../keys/grant-token.ts';
import { keyRingOf } from '../keys/key-ring.ts';
import { readGrantRow, type GrantRow } from './grant-store.ts';

/** A grant, and by what right it is asked about: an account's, or its own. */
export interface GrantAccess {
  readonly grant: GrantRow;
  /** Undefined: the grant's own token came. */
  readonly caller: Caller | undefined;
}

/** Whether a token is a grant: session tokens and API keys have no dots. */
export function isGrantToken(token: string): boolean {
  return /^[\w-]+\.[\w-]+\.[\w-]*$/.test(token);
}

/**
 * A grant that the request may deal with: by its own token, as the account that asked for it, or as an admin. To others it
 * is not there.
 *
 * @throws HeadwaterError `HW_NOT_FOUND`, `HW_FORBIDDEN` (another grant's token), and those of `callerOf` and `readGrant`
 */
export async function grantAccess(
  request: FastifyRequest,
  context: Context,
  id: string,
): Promise<GrantAccess> {
  const token = bearerOf(request);
  const { database, fleet, now } = context;
  if (isGrantToken(token)) {
    const claims = await readGrant(token, keyRingOf(context), { fleet, now: now() });
    if (claims.jti !== id) {
      throw new HeadwaterError('HW_FORBIDDEN', 'the token is of another download', {
        details: { download: id },
      });
    }
    const grant = await readGrantRow(database.queries, id);
    if (grant === undefined) throw downloadNotFound(id);
    return { grant, caller: undefined };
  }
  const caller = await callerOf(request, context);
  const grant = await readGrantRow(database.queries, id);
  if (grant === undefined || (grant.user_id !== caller.id && caller.role !== 'admin'))
    throw downloadNotFound(id);
  return { grant, caller };
}

/** @throws HeadwaterError `HW_GRANT_REVOKED` */
export function mustNotBeRevoked({ id, revoked_at: revokedAt }: GrantRow): void {
  if (revokedAt === null) return;
  throw new HeadwaterError('HW_GRANT_REVOKED', 'this download was revoked', { details: { download: id } });
}

function downloadNotFound(download: string): HeadwaterError {
  return new HeadwaterError('HW_NOT_FOUND', `there is no download ${download} of yours`, {
    details: { download },
  });
}
