import { isIPv6 } from 'node:net';

import { HeadwaterError } from '../../core/errors.ts';
import type { Database, Queries } from '../../database/database.ts';

/** Wrong passwords in a row for one account before it is locked for a second, then for twice as long each time. */
const FREE_FAILURES_ACCOUNT = 5;
/** The same for one address: many people can come from one. */
const FREE_FAILURES_ADDRESS = 30;
/** Longest lock, milliseconds: some hundred guesses a day, and a person who was locked out by another waits a coffee. */
const MOST_LOCK = 15 * 60 * 1000;
/** Milliseconds after which failures are forgotten. */
const FAILURES_FORGOTTEN = 24 * 3_600_000;
/** First lock, milliseconds. */
const FIRST_LOCK = 1_000;

/** Who tries. */
interface Attempt {
  /** Lower-case; of an account that need not exist. */
  readonly email: string;
  /** Network address. */
  readonly address: string;
}

/** @throws HeadwaterError `HW_TOO_MANY` while the account or the address is locked; `details.retryAfter` in seconds */
export async function refuseWhileLocked(queries: Queries, attempt: Attempt, now: number): Promise<void> {
  const rows = await queries
    .selectFrom('login_attempts')
    .select(['key', 'locked_until'])
    .where('key', 'in', Object.values(keysOf(attempt)))
    .where('locked_until', '>', now)
    .execute();
  if (rows.length === 0) return;
  const retryAfter = Math.ceil((Math.max(...rows.map((row) => row.locked_until)) - now) / 1000);
  const said = `too many wrong passwords; the next one counts in ${retryAfter} s`;
  throw new HeadwaterError('HW_TOO_MANY', said, { details: { retryAfter } });
}

/** Counts a wrong password. True: the account became locked by it just now. */
export async function countFailure(database: Database, attempt: Attempt, now: number): Promise<boolean> {
  const keys = keysOf(attempt);
  return database.transaction(async (queries) => {
    const failures = await countOne(queries, keys.account, FREE_FAILURES_ACCOUNT, now);
    await countOne(queries, keys.address, FREE_FAILURES_ADDRESS, now);
    return failures === FREE_FAILURES_ACCOUNT;
  });
}

async function countOne(queries: Queries, key: string, free: number, now: number): Promise<number> {
  // First the count, which takes the row's lock: of several at once every one is counted.
  const { failures } = await queries
    .insertInto('login_attempts')
    .values({ key, failures: 1, last_at: now, locked_until: 0 })
    .onConflict((conflict) =>
      conflict.column('key').doUpdateSet((eb) => ({
        failures: eb
          .case()
          .when('login_attempts.last_at', '<', now - FAILURES_FORGOTTEN)
          .then(1)
          .else(eb('login_attempts.failures', '+', 1))
          .end(),
        last_at: now,
      })),
    )
    .returning('failures')
    .executeTakeFirstOrThrow();
  if (failures >= free) {
    const lock = Math.min(MOST_LOCK, FIRST_LOCK * 2 ** Math.min(30, failures - free));
    await queries
      .updateTable('login_attempts')
      .set({ locked_until: now + lock })
      .where('key', '=', key)
      .execute();
  }
  return failures;
}

/** A right password: the account's failures are forgotten. The address's stay, or one account would free all guesses. */
export async function forgetFailures(queries: Queries, { email }: Pick<Attempt, 'email'>): Promise<void> {
  await queries.deleteFrom('login_attempts').where('key', '=', `account:${email}`).execute();
}

/** Removes what no longer counts. */
export async function removeOldFailures(queries: Queries, now: number): Promise<void> {
  await queries
    .deleteFrom('login_attempts')
    .where('last_at', '<', now - FAILURES_FORGOTTEN)
    .execute();
}

function keysOf({ email, address }: Attempt) {
  return { account: `account:${email}`, address: `address:${network(address)}` };
}

/** Of IPv6 the first 64 bits: a household or a rented machine has them all. */
function network(address: string): string {
  const mapped = /^::ffff:([\d.]+)$/i.exec(address)?.[1];
  if (mapped !== undefined || !isIPv6(address)) return mapped ?? address;
  const [front = '', back] = address.replace(/%.*$/, '').split('::');
  const first = front === '' ? [] : front.split(':');
  const last = back === undefined || back === '' ? [] : back.split(':');
  const zeros = Array.from({ length: 8 - first.length - last.length }, () => '0');
  const all = back === undefined ? first : [...first, ...zeros, ...last];
  return `${all
    .slice(0, 4)
    .map((each) => Number.parseInt(each, 16).toString(16))
    .join(':')}::/64`;
}
