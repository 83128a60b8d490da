import { sql } from 'kysely';
import type { z } from 'zod';

import type { User, UserChange, UserCreation, UserList, UserListQuery } from '../../core/api/accounts.ts';
import { HeadwaterError } from '../../core/errors.ts';
import type { Queries } from '../../database/database.ts';
import { newId } from '../../database/ids.ts';
import type { UserRow } from '../../database/tables.ts';
import type { Context } from '../context.ts';
import { audit, type Actor } from './audit.ts';
import { callerCache } from './caller-cache.ts';
import { hashPassword } from './password.ts';
import { endSessions } from './sessions.ts';

/** An account as others see it. */
export function userOf(row: Omit<UserRow, 'password'>): User {
  const { id, email, role } = row;
  return { id, email, role, disabled: row.disabled !== 0, createdAt: new Date(row.created_at).toISOString() };
}

/** One page of accounts, the oldest first. */
export async function listUsers(
  queries: Queries,
  { search, limit, cursor }: z.output<typeof UserListQuery>,
): Promise<UserList> {
  let query = queries.selectFrom('users').select(['id', 'email', 'role', 'disabled', 'created_at']);
  if (search !== undefined) {
    const pattern = `%${search.toLowerCase().replaceAll(/[\\%_]/g, String.raw`\$&`)}%`;
    query = query.where(sql<boolean>`email like ${pattern} escape '\\'`);
  }
  if (cursor !== undefined) query = query.where('id', '>', cursor);
  const rows = await query
    .orderBy('id')
    .limit(limit + 1)
    .execute();
  const items = rows.slice(0, limit).map(userOf);
  return { items, next: rows.length > limit ? (items.at(-1)?.id ?? null) : null };
}

/**
 * The account of an id or email.
 *
 * @throws HeadwaterError `HW_NOT_FOUND`
 */
export async function findUser(queries: Queries, idOrEmail: string): Promise<UserRow> {
  const email = idOrEmail.toLowerCase();
  const row = await queries
    .selectFrom('users')
    .selectAll()
    .where((eb) => eb.or([eb('id', '=', idOrEmail), eb('email', '=', email)]))
    .executeTakeFirst();
  if (row === undefined) throw new HeadwaterError('HW_NOT_FOUND', `there is no user ${idOrEmail}`);
  return row;
}

/** @throws HeadwaterError `HW_CONFLICT` when the email has an account */
export async function createUser(
  { database, now }: Pick<Context, 'database' | 'now'>,
  { email, password, role }: z.output<typeof UserCreation>,
  by: Actor,
): Promise<User> {
  const hash = await hashPassword(password);
  const at = now();
  const row: UserRow = { id: newId(at), email, role, password: hash, disabled: 0, created_at: at };
  await database.transaction(async (queries) => {
    const made = await queries
      .insertInto('users')
      .values(row)
      .onConflict((conflict) => conflict.column('email').doNothing())
      .returning('id')
      .executeTakeFirst();
    if (made === undefined) {
      throw new HeadwaterError('HW_CONFLICT', `${email} has an account already`, {
        details: { field: 'email' },
      });
    }
    await audit(queries, { at, by, action: 'user.created', subject: row.id, details: { email, role } });
  });
  return userOf(row);
}

/**
 * Changes role, password or whether the account may be used. A new password and a disabled account end all sessions.
 *
 * @throws HeadwaterError `HW_NOT_FOUND`; `HW_CONFLICT` when no admin would be left
 */
export async function changeUser(
  context: Context,
  idOrEmail: string,
  { role, disabled, password }: z.output<typeof UserChange>,
  by: Actor,
): Promise<User> {
  const { database, now } = context;
  const hash = password === undefined ? undefined : await hashPassword(password);
  const changed = await database.transaction(async (queries) => {
    const { id } = await findUser(queries, idOrEmail);
    const admins = await lockAdmins(queries, database.kind === 'postgresql');
    // Once more under the lock: another change may have come first.
    const before = await findUser(queries, id);
    const after: UserRow = {
      ...before,
      role: role ?? before.role,
      disabled: disabled === undefined ? before.disabled : Number(disabled),
      password: hash ?? before.password,
    };
    if (admins.length === 1 && admins[0] === id && (after.role !== 'admin' || after.disabled !== 0)) {
      const said = `${before.email} is the only admin: make another one first`;
      throw new HeadwaterError('HW_CONFLICT', said, {
        details: { field: role === undefined ? 'disabled' : 'role' },
      });
    }
    const { role: newRole, disabled: newDisabled, password: newPassword } = after;
    await queries
      .updateTable('users')
      .set({ role: newRole, disabled: newDisabled, password: newPassword })
      .where('id', '=', id)
      .execute();
    if (hash !== undefined || after.disabled !== 0) await endSessions(queries, id);
    const details = {
      email: before.email,
      ...(role !== undefined && { role }),
      ...(disabled !== undefined && { disabled }),
      ...(hash !== undefined && { passwordSet: true }),
    };
    await audit(queries, { at: now(), by, action: 'user.changed', subject: id, details });
    return after;
  });
  callerCache(context).forget();
  return userOf(changed);
}

/** Sets one's own password, and ends all one's sessions but the one given. */
export async function changeOwnPassword(
  context: Context,
  { id, email }: Pick<UserRow, 'id' | 'email'>,
  password: string,
  { by, session }: { readonly by: Actor; readonly session: string },
): Promise<void> {
  const hash = await hashPassword(password);
  await context.database.transaction(async (queries) => {
    await queries.updateTable('users').set({ password: hash }).where('id', '=', id).execute();
    await endSessions(queries, id, session);
    const details = { email, passwordSet: true };
    await audit(queries, { at: context.now(), by, action: 'user.changed', subject: id, details });
  });
  callerCache(context).forget();
}

/** Ids of the admins that may be used. Of two who demote each other at once, one waits here for the other. */
async function lockAdmins(queries: Queries, hasRowLocks: boolean): Promise<string[]> {
  const admins = queries
    .selectFrom('users')
    .select('id')
    .where('role', '=', 'admin')
    .where('disabled', '=', 0)
    .orderBy('id');
  const rows = await (hasRowLocks ? admins.forUpdate() : admins).execute();
  return rows.map(({ id }) => id);
}
