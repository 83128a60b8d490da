import { randomBytes } from 'node:crypto';

import { HeadwaterError } from '../../core/errors.ts';
import type { Queries } from '../../database/database.ts';
import type { UserRow } from '../../database/tables.ts';
import { digestOf } from '../authentication.ts';
import type { Context } from '../context.ts';
import { countFailure, forgetFailures, refuseWhileLocked } from './attempts.ts';
import { audit } from './audit.ts';
import { inTurn, passwordFits } from './password.ts';

/** Random bytes of a token. */
export const TOKEN_BYTES = 32;
/** How session tokens begin, so that people and programs that look for leaked secrets know one. */
const SESSION_PREFIX = 'hws_';

/** Somebody who gives a password. */
export interface Login {
  /** Lower-case. */
  readonly email: string;
  readonly password: string;
  /** Network address. */
  readonly address: string;
}

/**
 * The account of an email and a password. It takes the same time whether the email is known or not, and only so many are
 * tried for one account and from one address; every server counts for all.
 *
 * @throws HeadwaterError `HW_LOGIN`, `HW_TOO_MANY`
 */
export async function checkPassword({ database, now }: Context, login: Login): Promise<UserRow> {
  const { queries } = database;
  // All of it in turn: those that wait see the failures of those before them.
  return inTurn(async () => {
    await refuseWhileLocked(queries, login, now());
    const user = await queries
      .selectFrom('users')
      .selectAll()
      .where('email', '=', login.email)
      .executeTakeFirst();
    const fits = await passwordFits(login.password, user?.password);
    if (fits && user !== undefined && user.disabled === 0) return user;
    const locked = await countFailure(database, login, now());
    if (locked) {
      const details = { email: login.email };
      const by = { name: login.email, address: login.address };
      await audit(queries, { at: now(), by, action: 'login.locked', subject: user?.id, details });
    }
    throw wrongPassword();
  });
}

function wrongPassword(): HeadwaterError {
  return new HeadwaterError('HW_LOGIN', 'the email and the password do not fit together');
}

/**
 * A new session of somebody whose password was right.
 *
 * @param user as `checkPassword` found it
 * @throws HeadwaterError `HW_LOGIN` when the password was changed or the account disabled meanwhile, which has ended all
 *   sessions: this one must not outlive them
 */
export async function openSession(
  { database, now, settings }: Context,
  { id, email, password }: UserRow,
  address: string,
): Promise<{ token: string; expiresAt: number }> {
  const token = SESSION_PREFIX + randomBytes(TOKEN_BYTES).toString('base64url');
  const at = now();
  const expiresAt = at + settings.times.session * 1000;
  await database.transaction(async (queries) => {
    const user = queries
      .selectFrom('users')
      .select('id')
      .where('id', '=', id)
      .where('password', '=', password)
      .where('disabled', '=', 0);
    // On SQLite one transaction writes at a time; here a change of the account waits for this one, or this one for it.
    const isSame = await (database.kind === 'postgresql' ? user.forShare() : user).executeTakeFirst();
    if (isSame === undefined) throw wrongPassword();
    await forgetFailures(queries, { email });
    const session = { digest: digestOf(token), user_id: id, created_at: at, expires_at: expiresAt };
    await queries.insertInto('sessions').values(session).execute();
    await audit(queries, { at, by: { name: email, address }, action: 'session.opened', subject: id });
  });
  return { token, expiresAt };
}

/** Ends all sessions of a user, but for the one given. */
export async function endSessions(queries: Queries, userId: string, but?: string): Promise<void> {
  let sessions = queries.deleteFrom('sessions').where('user_id', '=', userId);
  if (but !== undefined) sessions = sessions.where('digest', '!=', but);
  await sessions.execute();
}
