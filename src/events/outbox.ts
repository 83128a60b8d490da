import { sql, type SqlBool } from 'kysely';

import type { FleetEvent } from '../core/api/events.ts';
import type { Database } from '../database/database.ts';
import { eventOf, type Addressee } from './audience.ts';

const COLUMNS = ['position', 'id', 'kind', 'at', 'audience', 'data'] as const;

/** The position of the newest event there is; 0: none. */
export async function newestPosition({ queries }: Database): Promise<number> {
  const row = await queries
    .selectFrom('events')
    .select('position')
    .orderBy('position', 'desc')
    .limit(1)
    .executeTakeFirst();
  return row?.position ?? 0;
}

/** Events after a position, in order, at most `most`. */
export async function eventsAfter({ queries }: Database, after: number, most: number): Promise<FleetEvent[]> {
  const rows = await queries
    .selectFrom('events')
    .select(COLUMNS)
    .where('position', '>', after)
    .orderBy('position')
    .limit(most)
    .execute();
  return rows.map(eventOf);
}

/** Which events somebody reads. */
export type Reader = Addressee | { readonly kinds: readonly string[] };

/** Positions that one query goes through: bounds what it costs, however few of them the reader wants. */
const SCANNED_AT_ONCE = 5_000;

/**
 * What a reader wants of the next events after a position, at most `most`.
 *
 * @param end position of the newest event to look at
 * @returns the events, and the position up to which that is all
 */
export async function readOutbox(
  { queries }: Database,
  reader: Reader,
  { after, end, most }: { after: number; end: number; most: number },
): Promise<{ events: FleetEvent[]; upTo: number }> {
  const first = await queries
    .selectFrom('events')
    .select('position')
    .where('position', '>', after)
    .orderBy('position')
    .limit(1)
    .executeTakeFirst();
  if (first === undefined || first.position > end) return { events: [], upTo: Math.max(after, end) };
  const last = Math.min(end, first.position + SCANNED_AT_ONCE - 1);
  const rows = await queries
    .selectFrom('events')
    .select(COLUMNS)
    .where('position', '>=', first.position)
    .where('position', '<=', last)
    .where(wants(reader))
    .orderBy('position')
    .limit(most)
    .execute();
  return { events: rows.map(eventOf), upTo: rows.length < most ? last : (rows.at(-1)?.position ?? last) };
}

function wants(reader: Reader) {
  if ('kinds' in reader) return sql<SqlBool>`kind in (${sql.join(reader.kinds)})`;
  const own = `%"${reader.id}"%`;
  const zone = JSON.stringify({ zone: reader.zone });
  return sql<SqlBool>`(audience = '"all"' or audience = ${zone} or audience like ${own})`;
}
