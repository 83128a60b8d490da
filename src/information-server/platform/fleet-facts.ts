import { randomBytes } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { FastifyBaseLogger } from 'fastify';

import { HeadwaterError } from '../../core/errors.ts';
import type { Database } from '../../database/database.ts';
import { newId } from '../../database/ids.ts';
import { digestOf } from '../authentication.ts';
import type { StartSettings } from '../settings.ts';

/** Keys of the table `fleet`. */
const FLEET_ID = 'id';
const JOIN_TOKEN = 'join-token';
/** The join token's file in the data folder, readable by its owner alone. */
const JOIN_TOKEN_FILE = 'join-token';
/** Random bytes of a join token. */
const JOIN_TOKEN_BYTES = 32;

/** The fleet's id; made by the first information server there ever was. */
export async function fleetId(database: Database): Promise<string> {
  return factOf(database, FLEET_ID, newId());
}

/**
 * Sees to it that there is a join token: the one that was given, the one of earlier times, or a new one, which is left in
 * the data folder. The database has its digest.
 */
export async function settleJoinToken(
  database: Database,
  { data, joinToken }: Pick<StartSettings, 'data' | 'joinToken'>,
  log: FastifyBaseLogger,
): Promise<void> {
  if (joinToken !== undefined) return setJoinToken(database, digestOf(joinToken), log);
  const path = join(data, JOIN_TOKEN_FILE);
  const known = await readFact(database, JOIN_TOKEN);
  if (known === undefined) {
    const mine = digestOf(await tokenIn(path));
    const settled = await factOf(database, JOIN_TOKEN, mine);
    if (settled === mine) return;
  } else {
    const there = await readToken(path);
    if (there === undefined || digestOf(there) === known) return;
  }
  log.warn(
    { path },
    'the join token in this file is not the one of the fleet, which another server has made',
  );
}

async function setJoinToken(database: Database, digest: string, log: FastifyBaseLogger): Promise<void> {
  const before = await readFact(database, JOIN_TOKEN);
  if (before === digest) return;
  await database.queries
    .insertInto('fleet')
    .values({ key: JOIN_TOKEN, value: digest })
    .onConflict((conflict) => conflict.column('key').doUpdateSet({ value: digest }))
    .execute();
  if (before !== undefined) log.warn('the join token is another one now: servers that have joined stay');
}

async function readFact({ queries }: Database, key: string): Promise<string | undefined> {
  const row = await queries.selectFrom('fleet').select('value').where('key', '=', key).executeTakeFirst();
  return row?.value;
}

/** What is there, or else `value`, which is there from then on. */
async function factOf(database: Database, key: string, value: string): Promise<string> {
  await database.queries
    .insertInto('fleet')
    .values({ key, value })
    .onConflict((conflict) => conflict.column('key').doNothing())
    .execute();
  return (await readFact(database, key)) ?? value;
}

/** The token in a file, which is made where there is none; of several processes all get the same. */
async function tokenIn(path: string): Promise<string> {
  const there = await readToken(path);
  if (there !== undefined) return there;
  const token = randomBytes(JOIN_TOKEN_BYTES).toString('hex');
  const own = `${path}.${newId()}`;
  try {
    await mkdir(join(path, '..'), { recursive: true, mode: 0o700 });
    await writeFile(own, `${token}\n`, { mode: 0o600, flag: 'wx', flush: true });
    // Whole or not at all, and never over another's.
    await link(own, path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  } catch (cause) {
    throw new HeadwaterError('HW_DISK', `cannot write the join token ${path}: ${(cause as Error).message}`, {
      cause,
    });
  } finally {
    await rm(own, { force: true });
  }
  return (await readToken(path)) ?? token;
}

async function readToken(path: string): Promise<string | undefined> {
  try {
    const token = (await readFile(path, 'utf8')).trim();
    return token === '' ? undefined : token;
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw new HeadwaterError('HW_DISK', `cannot read the join token ${path}: ${message}`, { cause });
  }
}
