import { sql, type SqlBool } from 'kysely';
import { z } from 'zod';

import { MOST_PAGE, Zone } from '../../core/api/common.ts';
import { ServerState, type ServerEntry } from '../../core/api/servers.ts';
import { HeadwaterError } from '../../core/errors.ts';
import type { ServerRow } from '../../database/tables.ts';
import type { Context } from '../context.ts';

export const ServerListQuery = z.strictObject({
  search: z.string().min(1).max(200).optional().describe('Part of the name or the address, in any case.'),
  zone: Zone.optional(),
  state: ServerState.optional(),
  limit: z.coerce.number().int().min(1).max(MOST_PAGE).default(100),
  cursor: z.string().max(200).optional().describe('`next` of the page before.'),
});

/** A page of the servers, by name. */
export async function listServers(
  context: Context,
  { search, zone, state, limit, cursor }: z.output<typeof ServerListQuery>,
): Promise<{ items: ServerEntry[]; next: string | null }> {
  const after = cursor === undefined ? undefined : nameOf(cursor);
  const rows = await context.database.queries
    .selectFrom('servers')
    .selectAll()
    .$if(after !== undefined, (query) => query.where('name', '>', after ?? ''))
    .$if(zone !== undefined, (query) => query.where('zone', '=', zone ?? ''))
    .$if(state !== undefined, (query) => query.where('state', '=', state ?? 'running'))
    .$if(search !== undefined, (query) => query.where(contains(search ?? '')))
    .orderBy('name')
    .limit(limit + 1)
    .execute();
  const items = rows.slice(0, limit).map(entryOf);
  const last = items.at(-1);
  const isMore = rows.length > limit && last !== undefined;
  return { items, next: isMore ? Buffer.from(last.name).toString('base64url') : null };
}

/**
 * The server with this id or name.
 *
 * @throws HeadwaterError `HW_NOT_FOUND`
 */
export async function findServerRow(context: Context, idOrName: string): Promise<ServerRow> {
  const { queries } = context.database;
  const servers = queries.selectFrom('servers').selectAll();
  const row =
    (await servers.where('id', '=', idOrName).executeTakeFirst()) ??
    (await servers.where('name', '=', idOrName).executeTakeFirst());
  if (row === undefined) {
    const said = `there is no file server "${idOrName}": GET /v1/servers lists them`;
    throw new HeadwaterError('HW_NOT_FOUND', said, { details: { server: idOrName } });
  }
  return row;
}

export function entryOf(row: ServerRow): ServerEntry {
  return {
    id: row.id,
    name: row.name,
    zone: row.zone,
    url: row.url,
    state: row.state,
    wanted: row.wanted,
    rate: row.rate,
    answers: row.answers,
    clients: row.clients,
    bytesSent: row.bytes_sent,
    capacity: row.capacity,
    free: row.free,
    files: row.files,
    chunks: row.store_chunks,
    bytes: row.store_bytes,
    version: row.version,
    clockAhead: row.clock_ahead / 1000,
    lastSeenAt: new Date(row.last_seen_at).toISOString(),
    registeredAt: new Date(row.registered_at).toISOString(),
  };
}

function contains(text: string) {
  const pattern = `%${text.toLowerCase().replaceAll(/[\\%_]/g, String.raw`\$&`)}%`;
  return sql<SqlBool>`(lower(name) like ${pattern} escape '\\' or lower(url) like ${pattern} escape '\\')`;
}

function nameOf(cursor: string): string {
  const name = Buffer.from(cursor, 'base64url').toString();
  if (name !== '' && !name.includes('\u0000') && Buffer.from(name).toString('base64url') === cursor)
    return name;
  throw new HeadwaterError('HW_USAGE', 'cursor: not one that a page before gave as "next"', {
    details: { field: 'cursor', where: 'querystring' },
  });
}
