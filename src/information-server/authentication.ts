import { createHash } from 'node:crypto';

import type { FastifyRequest } from 'fastify';

import { HeadwaterError } from '../core/errors.ts';
import type { Role } from '../core/api/accounts.ts';
import type { Context } from './context.ts';

/** Who asks. */
export interface Caller {
  readonly id: string;
  readonly email: string;
  readonly role: Role;
}

/** What is kept of a token. */
export function digestOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

const RANK: Readonly<Record<Role, number>> = { reader: 0, publisher: 1, admin: 2 };

/**
 * The account that a request's session token or API key belongs to.
 *
 * @throws HeadwaterError `HW_TOKEN_MISSING`, `HW_TOKEN_INVALID`, `HW_TOKEN_EXPIRED`, `HW_FORBIDDEN` (the role is not enough,
 *   or the account is disabled)
 */
export async function callerOf(
  request: FastifyRequest,
  context: Context,
  least: Role = 'reader',
): Promise<Caller> {
  const token = bearerOf(request);
  const digest = digestOf(token);
  const { queries } = context.database;
  const columns = ['users.id', 'users.email', 'users.role', 'users.disabled'] as const;
  const found =
    (await queries
      .selectFrom('sessions')
      .innerJoin('users', 'users.id', 'sessions.user_id')
      .select([...columns, 'sessions.expires_at'])
      .where('sessions.digest', '=', digest)
      .executeTakeFirst()) ??
    (await queries
      .selectFrom('api_keys')
      .innerJoin('users', 'users.id', 'api_keys.user_id')
      .select([...columns, 'api_keys.expires_at'])
      .where('api_keys.digest', '=', digest)
      .executeTakeFirst());
  if (found === undefined)
    throw new HeadwaterError('HW_TOKEN_INVALID', 'nobody has this token; log in again');
  const { id, email, role, disabled, expires_at: expiresAt } = found;
  if (expiresAt !== null && expiresAt <= context.now()) {
    throw new HeadwaterError('HW_TOKEN_EXPIRED', 'the session is over; log in again');
  }
  if (disabled !== 0) throw new HeadwaterError('HW_FORBIDDEN', `the account ${email} is disabled`);
  if (RANK[role] < RANK[least]) {
    throw new HeadwaterError('HW_FORBIDDEN', `this takes the role ${least}; ${email} is ${role}`);
  }
  return { id, email, role };
}

/**
 * The token of `Authorization: Bearer` (RFC 6750, 2.1).
 *
 * @throws HeadwaterError `HW_TOKEN_MISSING`, `HW_TOKEN_INVALID`
 */
export function bearerOf(request: FastifyRequest): string {
  const { authorization } = request.headers;
  if (authorization === undefined) {
    throw new HeadwaterError('HW_TOKEN_MISSING', 'this needs a token: log in, or send an API key');
  }
  const token = /^Bearer ([\w.~+/=-]+)$/i.exec(authorization)?.[1];
  if (token === undefined) {
    throw new HeadwaterError('HW_TOKEN_INVALID', 'the Authorization field is not "Bearer TOKEN"');
  }
  return token;
}
