import type { FastifyRequest } from 'fastify';

import type { z } from 'zod';

import type { AuditList, AuditQuery } from '../../core/api/accounts.ts';
import type { Queries } from '../../database/database.ts';
import { newId } from '../../database/ids.ts';
import type { Caller } from '../authentication.ts';

/** One line of the audit log. */
export interface AuditEntry {
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Who did it; undefined: the fleet itself. */
  readonly by?: Actor | undefined;
  /** What was done: subject and past participle, such as `user.created`. */
  readonly action: string;
  /** Id of what was changed. */
  readonly subject?: string | undefined;
  /** Facts; never a password or a token. */
  readonly details?: Readonly<Record<string, unknown>>;
}

export interface Actor {
  /** Email or server name. */
  readonly name: string;
  /** Network address that it came from. */
  readonly address?: string;
}

/** The account behind a request, as the audit log names it. */
export function actorOf(request: FastifyRequest, caller: Caller): Actor {
  return { name: caller.email, address: request.ip };
}

/** Writes a line to the audit log, in the transaction of the change that it tells of. */
export async function audit(queries: Queries, entry: AuditEntry): Promise<void> {
  await queries
    .insertInto('audit')
    .values({
      id: newId(entry.at),
      at: entry.at,
      actor: entry.by?.name ?? null,
      address: entry.by?.address ?? null,
      action: entry.action,
      subject: entry.subject ?? null,
      details: JSON.stringify(entry.details ?? {}),
    })
    .execute();
}

/** One page of the audit log, the newest first. */
export async function listAudit(
  queries: Queries,
  { actor, action, limit, cursor }: z.output<typeof AuditQuery>,
): Promise<AuditList> {
  let query = queries.selectFrom('audit').selectAll();
  if (actor !== undefined) query = query.where('actor', '=', actor);
  if (action !== undefined) query = query.where('action', '=', action);
  if (cursor !== undefined) query = query.where('id', '<', cursor);
  const rows = await query
    .orderBy('id', 'desc')
    .limit(limit + 1)
    .execute();
  const items = rows.slice(0, limit).map((row) => ({
    ...row,
    at: new Date(row.at).toISOString(),
    details: JSON.parse(row.details) as Record<string, unknown>,
  }));
  return { items, next: rows.length > limit ? (items.at(-1)?.id ?? null) : null };
}
