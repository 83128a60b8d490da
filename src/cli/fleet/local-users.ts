import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { UserCreation, type User } from '../../core/api/accounts.ts';
import { HeadwaterError } from '../../core/errors.ts';
import { openDatabase } from '../../database/database.ts';
import { createUser } from '../../information-server/accounts/users.ts';

/** Where the fleet's state is: a data folder of an information server, or a database. */
interface Where {
  readonly data: string | undefined;
  readonly database: string | undefined;
}

/**
 * Makes an account in the fleet's database itself: whoever can write that needs no login.
 *
 * @throws HeadwaterError `HW_USAGE`, `HW_CONFLICT` (the email has an account), `HW_DATABASE`, `HW_DISK`
 */
export async function addUserHere(
  { data = '.', database }: Where,
  given: { readonly email: string; readonly password: string; readonly role: string },
): Promise<User> {
  const { success, data: user, error } = UserCreation.safeParse(given);
  if (!success) {
    const [issue] = error.issues;
    throw new HeadwaterError('HW_USAGE', `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'is wrong'}`);
  }
  const where = database ?? join(data, 'fleet.sqlite');
  // A slip in the folder's name would make another fleet, in silence.
  if (database === undefined && !existsSync(data)) {
    throw new HeadwaterError(
      'HW_USAGE',
      `--data takes an information server's data folder; ${data} is not there`,
    );
  }
  const opened = await openDatabase(where);
  try {
    return await createUser({ database: opened, now: () => Date.now() }, user, {
      name: 'headwater users add',
    });
  } finally {
    await opened.close();
  }
}
