import { createHash } from 'node:crypto';

import type { FastifyRequest } from 'fastify';

import { HeadwaterError } from '../core/errors.ts';
import type { Role } from '../core/api/accounts.ts';
import { callerCache, type TokenHolder } from './accounts/caller-cache.ts';
import type { Context } from './context.ts';

/** Who asks. */
export interface Caller {
  readonly id: string;
  readonly email: string;
  readonly role: Role;
}

/** How API keys begin. */
export const KEY_PREFIX = 'hwk_';
/** Milliseconds between two notes of when an API key was last used: reading must not become writing. */
const LAST_USED_AGE = 60_000;

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
  return holderOf(request, context, least);
}

/** As `callerOf`, with what is known of the token besides. */
export async function holderOf(
  request: FastifyRequest,
  context: Context,
  least: Role = 'reader',
): Promise<TokenHolder> {
  const token = bearerOf(request);
  const digest = digestOf(token);
  const cache = callerCache(context);
  let holder = cache.find(digest);
  if (holder === undefined) {
    const { generation } = cache;
    holder = token.startsWith(KEY_PREFIX)
      ? await holderOfKey(context, digest)
      : await holderOfSession(context, digest);
    if (holder !== undefined) cache.keep(digest, holder, generation);
  }
  if (holder === undefined)
    throw new HeadwaterError('HW_TOKEN_INVALID', 'nobody has this token; log in again');
  const { email, role } = holder;
  if (holder.expiresAt !== null && holder.expiresAt <= context.now()) {
    const said =
      holder.via === 'session' ? 'the session is over; log in again' : 'this API key is over; make a new one';
    throw new HeadwaterError('HW_TOKEN_EXPIRED', said);
  }
  if (holder.disabled) throw new HeadwaterError('HW_FORBIDDEN', `the account ${email} is disabled`);
  if (RANK[role] < RANK[least]) {
    throw new HeadwaterError('HW_FORBIDDEN', `this takes the role ${least}; ${email} is ${role}`);
  }
  return holder;
}

async function holderOfSession({ database }: Context, digest: string): Promise<TokenHolder | undefined> {
  const found = await database.queries
    .selectFrom('sessions')
    .innerJoin('users', 'users.id', 'sessions.user_id')
    .select(['users.id', 'users.email', 'users.role', 'users.disabled', 'sessions.expires_at'])
    .where('sessions.digest', '=', digest)
    .executeTakeFirst();
  if (found === undefined) return undefined;
  const { id, email, role, disabled, expires_at: expiresAt } = found;
  return { id, email, role, disabled: disabled !== 0, expiresAt, via: 'session' };
}

async function holderOfKey(context: Context, digest: string): Promise<TokenHolder | undefined> {
  const found = await context.database.queries
    .selectFrom('api_keys')
    .innerJoin('users', 'users.id', 'api_keys.user_id')
    .select(['users.id', 'users.email', 'users.role', 'users.disabled'])
    .select(['api_keys.expires_at', 'api_keys.last_used_at'])
    .where('api_keys.digest', '=', digest)
    .executeTakeFirst();
  if (found === undefined) return undefined;
  const { id, email, role, disabled, expires_at: expiresAt, last_used_at: lastUsed } = found;
  const now = context.now();
  if (lastUsed === null || lastUsed < now - LAST_USED_AGE) await noteUse(context, digest, now);
  return { id, email, role, disabled: disabled !== 0, expiresAt, via: 'api-key' };
}

/** Not being able to note it (a full disk) is no reason to refuse the request. */
async function noteUse({ database, log }: Context, digest: string, now: number): Promise<void> {
  try {
    await database.queries
      .updateTable('api_keys')
      .set({ last_used_at: now })
      .where('digest', '=', digest)
      .execute();
  } catch (error) {
    log.warn({ err: error }, 'the use of an API key could not be noted');
  }
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
