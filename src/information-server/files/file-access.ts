import type { FastifyRequest } from 'fastify';

import { HeadwaterError } from '../../core/errors.ts';
import { bearerOf, callerOf, type Caller } from '../authentication.ts';
import type { Context } from '../context.ts';
import { isGrantToken, mustNotBeRevoked } from '../grants/grant-access.ts';
import { fileNotFound } from './file-not-found.ts';
import { readGrantRow } from '../grants/grant-store.ts';
import { readGrant } from '../keys/grant-token.ts';
import { keyRingOf } from '../keys/key-ring.ts';
import { readFiles, readGrantedFile, type FileFacts } from './file-facts.ts';
import { maySee } from './may-see.ts';

/**
 * A file that an account may see.
 *
 * @throws HeadwaterError `HW_NOT_FOUND`, for those who may not see it, too
 */
export async function visibleFile(context: Context, caller: Caller, id: string): Promise<FileFacts> {
  const { queries } = context.database;
  const file = (await readFiles(queries, [id])).get(id);
  if (file === undefined || !(await maySee(queries, file, caller))) throw fileNotFound(id);
  return file;
}

/** @throws HeadwaterError `HW_FORBIDDEN` unless it is an admin, or a publisher and the file is theirs */
export function mustMayChange({ role, id, email }: Caller, { name, ownerId }: FileFacts): void {
  if (role === 'admin' || (role === 'publisher' && ownerId === id)) return;
  throw new HeadwaterError(
    'HW_FORBIDDEN',
    `only its publisher and admins may change ${name}; ${email} is ${role}`,
  );
}

/**
 * A file that the request may read of: as an account, or by a grant for it, which can come as `?token=` too.
 *
 * @throws HeadwaterError `HW_NOT_FOUND`, `HW_GRANT_OTHER_FILE`, `HW_GRANT_REVOKED`, and those of `callerOf` and `readGrant`
 */
export async function readableFile(
  request: FastifyRequest,
  context: Context,
  id: string,
  tokenInQuery: string | undefined,
): Promise<FileFacts> {
  const token = tokenInQuery ?? bearerOf(request);
  if (!isGrantToken(token)) {
    if (tokenInQuery !== undefined)
      throw new HeadwaterError(
        'HW_TOKEN_INVALID',
        'only a grant can come in the address; others are seen in logs',
      );
    return visibleFile(context, await callerOf(request, context), id);
  }
  const { database, fleet, now } = context;
  const claims = await readGrant(token, keyRingOf(context), { fleet, now: now() });
  if (claims.file !== id)
    throw new HeadwaterError('HW_GRANT_OTHER_FILE', 'the grant is for another file', {
      details: { file: id },
    });
  const grant = await readGrantRow(database.queries, claims.jti);
  if (grant !== undefined) mustNotBeRevoked(grant);
  const file = await readGrantedFile(database.queries, id);
  if (file === undefined)
    throw new HeadwaterError('HW_GRANT_REVOKED', 'the file was deleted', { details: { file: id } });
  return file;
}
