import { randomBytes } from 'node:crypto';

import type { Database } from '../../database/database.ts';
import { digestOf } from '../authentication.ts';
import { audit } from './audit.ts';

/** Seconds for which it is good: whoever runs the fleet's database opens another one as needed. */
const LOCAL_SESSION = 86_400;
/** Random bytes of its token. */
const TOKEN_BYTES = 32;

/**
 * A session of an admin for the program that runs the fleet itself, which can write its database: no password is needed.
 *
 * @returns its token; undefined: there is no admin that may be used
 */
export async function openLocalSession({ queries }: Database, program: string): Promise<string | undefined> {
  const at = Date.now();
  const admin = await queries
    .selectFrom('users')
    .select(['id', 'email'])
    .where('role', '=', 'admin')
    .where('disabled', '=', 0)
    .orderBy('created_at')
    .executeTakeFirst();
  if (admin === undefined) return undefined;
  const token = `hws_${randomBytes(TOKEN_BYTES).toString('base64url')}`;
  const expires_at = at + LOCAL_SESSION * 1000;
  await queries
    .insertInto('sessions')
    .values({ digest: digestOf(token), user_id: admin.id, created_at: at, expires_at })
    .execute();
  await audit(queries, { at, by: { name: program }, action: 'session.opened', subject: admin.id });
  return token;
}
