import { randomInt } from 'node:crypto';
import { join } from 'node:path';

import { Email, Password } from '../../core/api/accounts.ts';
import { HeadwaterError } from '../../core/errors.ts';
import { openDatabase, type Database } from '../../database/database.ts';
import { makeFirstAdmin } from '../../information-server/accounts/first-admin.ts';
import { openLocalSession } from '../../information-server/accounts/local-session.ts';
import { secretVariable } from '../secret-variable.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** The first admin's email when none is given. */
const EMAIL = 'admin@localhost';
/** Letters and digits that are not taken for one another. */
const ALPHABET = 'abcdefghjkmnpqrstuvwxyz23456789';
/** Of a password that is made up: 20 of 31 characters are 99 bits, in groups that can be typed. */
const GROUPS = 4;
const GROUP_LENGTH = 5;

/** The first admin, who was made just now. */
export interface NewAdmin {
  readonly email: string;
  /** Undefined: it was given. */
  readonly password: string | undefined;
}

/**
 * Makes the first admin in a fleet that has no account: the one of HEADWATER_ADMIN_EMAIL and HEADWATER_ADMIN_PASSWORD, or
 * one with a password that is made up.
 *
 * @returns undefined when there are accounts
 * @throws HeadwaterError `HW_USAGE`, `HW_DATABASE`, `HW_DISK`
 */
export async function firstAdmin(data: string, env: Environment): Promise<NewAdmin | undefined> {
  const email = Email.safeParse(given(env['HEADWATER_ADMIN_EMAIL']) ?? EMAIL);
  const secret = secretVariable(env, 'HEADWATER_ADMIN_PASSWORD');
  const password = Password.safeParse(secret ?? madeUp());
  if (!email.success) throw new HeadwaterError('HW_USAGE', 'HEADWATER_ADMIN_EMAIL is no email');
  if (!password.success) {
    const [issue] = password.error.issues;
    throw new HeadwaterError('HW_USAGE', `HEADWATER_ADMIN_PASSWORD: ${issue?.message ?? 'is wrong'}`);
  }
  const made = await inDatabase(data, env, (database) =>
    makeFirstAdmin(database, { email: email.data, password: password.data }, Date.now()),
  );
  if (!made) return undefined;
  return { email: email.data, password: secret === undefined ? password.data : undefined };
}

/** A token for this program to see and command the servers with; undefined: there is no admin that may be used. */
export function localToken(data: string, env: Environment): Promise<string | undefined> {
  return inDatabase(data, env, (database) => openLocalSession(database, 'headwater up'));
}

async function inDatabase<T>(
  data: string,
  env: Environment,
  work: (database: Database) => Promise<T>,
): Promise<T> {
  const database = await openDatabase(
    secretVariable(env, 'HEADWATER_DATABASE_URL') ?? join(data, 'fleet.sqlite'),
  );
  try {
    return await work(database);
  } finally {
    await database.close();
  }
}

function madeUp(): string {
  const group = (): string =>
    Array.from({ length: GROUP_LENGTH }, () => ALPHABET[randomInt(ALPHABET.length)] ?? '').join('');
  return Array.from({ length: GROUPS }, group).join('-');
}

function given(value: string | undefined): string | undefined {
  return value === undefined || value === '' ? undefined : value;
}
