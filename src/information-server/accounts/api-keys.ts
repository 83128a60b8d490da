import { randomBytes } from 'node:crypto';

import type { z } from 'zod';

import type {
  ApiKey,
  ApiKeyCreation,
  ApiKeyList,
  ApiKeyListQuery,
  NewApiKey,
} from '../../core/api/accounts.ts';
import { HeadwaterError } from '../../core/errors.ts';
import type { Queries } from '../../database/database.ts';
import { newId } from '../../database/ids.ts';
import { digestOf, KEY_PREFIX } from '../authentication.ts';
import type { Context } from '../context.ts';
import { audit, type Actor } from './audit.ts';
import { callerCache, type TokenHolder } from './caller-cache.ts';
import { TOKEN_BYTES } from './sessions.ts';

/** API keys of one account: more of them nobody keeps apart. */
const MOST_KEYS = 1_000;
/** Characters of a key that are kept, to tell it from others: of 43 random ones the first 4. */
const START_LENGTH = KEY_PREFIX.length + 4;

interface KeyRow {
  readonly id: string;
  readonly name: string;
  readonly start: string;
  readonly created_at: number;
  readonly expires_at: number | null;
  readonly last_used_at: number | null;
}

function keyOf(row: KeyRow): ApiKey {
  return {
    id: row.id,
    name: row.name,
    start: row.start,
    createdAt: momentOf(row.created_at),
    expiresAt: row.expires_at === null ? null : momentOf(row.expires_at),
    lastUsedAt: row.last_used_at === null ? null : momentOf(row.last_used_at),
  };
}

function momentOf(at: number): string {
  return new Date(at).toISOString();
}

/** One page of an account's keys, the oldest first. */
export async function listKeys(
  queries: Queries,
  userId: string,
  { limit, cursor }: z.output<typeof ApiKeyListQuery>,
): Promise<ApiKeyList> {
  let query = queries
    .selectFrom('api_keys')
    .select(['id', 'name', 'start', 'created_at', 'expires_at', 'last_used_at'])
    .where('user_id', '=', userId);
  if (cursor !== undefined) query = query.where('id', '>', cursor);
  const rows = await query
    .orderBy('id')
    .limit(limit + 1)
    .execute();
  const items = rows.slice(0, limit).map(keyOf);
  return { items, next: rows.length > limit ? (items.at(-1)?.id ?? null) : null };
}

/**
 * Makes a key of the caller's own. Made with another key it ends no later than that one: or a key that was stolen could
 * outlive its own end.
 *
 * @throws HeadwaterError `HW_USAGE` (ends in the past), `HW_CONFLICT` (too many)
 */
export async function createKey(
  { database, now }: Context,
  caller: TokenHolder,
  { name, expiresAt }: z.output<typeof ApiKeyCreation>,
  by: Actor,
): Promise<NewApiKey> {
  const at = now();
  const wanted = expiresAt === undefined ? null : Date.parse(expiresAt);
  if (wanted !== null && wanted <= at) {
    throw new HeadwaterError('HW_USAGE', 'expiresAt: lies in the past', { details: { field: 'expiresAt' } });
  }
  const most = caller.via === 'api-key' ? caller.expiresAt : null;
  const end = most === null ? wanted : Math.min(most, wanted ?? most);
  const key = KEY_PREFIX + randomBytes(TOKEN_BYTES).toString('base64url');
  const row = {
    id: newId(at),
    name,
    start: key.slice(0, START_LENGTH),
    created_at: at,
    expires_at: end,
    last_used_at: null,
  };
  await database.transaction(async (queries) => {
    const { count } = await queries
      .selectFrom('api_keys')
      .select((eb) => eb.fn.countAll<number>().as('count'))
      .where('user_id', '=', caller.id)
      .executeTakeFirstOrThrow();
    if (count >= MOST_KEYS) {
      throw new HeadwaterError('HW_CONFLICT', `${caller.email} has ${MOST_KEYS} API keys: revoke some first`);
    }
    await queries
      .insertInto('api_keys')
      .values({ ...row, digest: digestOf(key), user_id: caller.id })
      .execute();
    await audit(queries, { at, by, action: 'api-key.created', subject: row.id, details: { name } });
  });
  return { ...keyOf(row), key };
}

/**
 * Revokes a key: one's own, or anyone's where the caller is an admin.
 *
 * @throws HeadwaterError `HW_NOT_FOUND`
 */
export async function revokeKey(context: Context, caller: TokenHolder, id: string, by: Actor): Promise<void> {
  await context.database.transaction(async (queries) => {
    let removal = queries.deleteFrom('api_keys').where('id', '=', id);
    if (caller.role !== 'admin') removal = removal.where('user_id', '=', caller.id);
    const row = await removal.returning('name').executeTakeFirst();
    if (row === undefined) throw new HeadwaterError('HW_NOT_FOUND', `there is no API key ${id}`);
    const details = { name: row.name };
    await audit(queries, { at: context.now(), by, action: 'api-key.revoked', subject: id, details });
  });
  callerCache(context).forget();
}
