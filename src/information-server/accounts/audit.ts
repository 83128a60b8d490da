import type { FastifyRequest } from 'fastify';

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
