import { timingSafeEqual } from 'node:crypto';

import type { FastifyRequest } from 'fastify';

import { HeadwaterError } from '../../core/errors.ts';
import type { ServerRow } from '../../database/tables.ts';
import { bearerOf, digestOf } from '../authentication.ts';
import type { Context } from '../context.ts';

/**
 * The file server that a request's token belongs to.
 *
 * @param id the server that the path names: a token speaks for no other
 * @throws HeadwaterError `HW_TOKEN_MISSING`, `HW_TOKEN_INVALID`, `HW_FORBIDDEN`
 */
export async function serverOf(request: FastifyRequest, context: Context, id: string): Promise<ServerRow> {
  const row = await anyServerOf(request, context);
  if (row.id !== id) throw foreignToken(row.name);
  return row;
}

/** As `serverOf`, where the path names none. */
export async function anyServerOf(request: FastifyRequest, context: Context): Promise<ServerRow> {
  const digest = digestOf(bearerOf(request));
  const row = await context.database.queries
    .selectFrom('servers')
    .selectAll()
    .where('token_digest', '=', digest)
    .executeTakeFirst();
  if (row === undefined) throw unknownToken();
  return row;
}

export function unknownToken(): HeadwaterError {
  const said = 'no file server of this fleet has this token: register again with the join token';
  return new HeadwaterError('HW_TOKEN_INVALID', said);
}

function foreignToken(name: string): HeadwaterError {
  return new HeadwaterError('HW_FORBIDDEN', `this token is that of the server ${name}, and of no other`);
}

/** @throws HeadwaterError `HW_SUPERSEDED`, `HW_CONFLICT` (that process has not registered) */
export function checkInstance(row: Pick<ServerRow, 'name' | 'instance'>, instance: number): void {
  if (instance === row.instance) return;
  const details = { instance, current: row.instance };
  if (instance < row.instance) throw superseded(row.name, details);
  const said = `this process has not registered as ${row.name} yet: register first`;
  throw new HeadwaterError('HW_CONFLICT', said, { details });
}

export function superseded(name: string, details: Readonly<Record<string, unknown>>): HeadwaterError {
  const said = `another process has registered as ${name} since: this one stops`;
  return new HeadwaterError('HW_SUPERSEDED', said, { details });
}

/** Compares digests without telling by the time it takes where they differ. */
export function isSameDigest(one: string, other: string): boolean {
  return one.length === other.length && timingSafeEqual(Buffer.from(one), Buffer.from(other));
}
