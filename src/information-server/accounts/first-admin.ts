import type { Database } from '../../database/database.ts';
import { newId } from '../../database/ids.ts';
import { audit } from './audit.ts';
import { hashPassword } from './password.ts';

/**
 * Makes the first account, an admin's, in a fleet that has none.
 *
 * @param email lower-case
 * @returns false where there are accounts already: nothing is changed then
 */
export async function makeFirstAdmin(
  database: Database,
  { email, password }: { readonly email: string; readonly password: string },
  now: number,
): Promise<boolean> {
  const { queries } = database;
  if ((await queries.selectFrom('users').select('id').limit(1).execute()).length > 0) return false;
  const hash = await hashPassword(password);
  return database.transaction(async (db) => {
    // Several servers may start at once: on PostgreSQL the lock makes them come one after the other.
    if (database.kind === 'postgresql') {
      await db.selectFrom('fleet').select('key').where('key', '=', 'id').forUpdate().execute();
    }
    if ((await db.selectFrom('users').select('id').limit(1).execute()).length > 0) return false;
    const id = newId(now);
    const user = { id, email, role: 'admin' as const, password: hash, created_at: now, disabled: 0 };
    await db.insertInto('users').values(user).execute();
    await audit(db, { at: now, action: 'user.created', subject: id, details: { email, role: 'admin' } });
    return true;
  });
}
