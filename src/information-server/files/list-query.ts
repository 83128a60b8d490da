import { sql, type RawBuilder } from 'kysely';

import type { Database, DatabaseKind } from '../../database/database.ts';
import type { Position } from './cursor.ts';
import { charactersOf, neighbours, type SearchMeans, type SearchPlan } from './search-plan.ts';

/** What a list is sorted by. */
export type SortColumn = 'name_folded' | 'size' | 'created_at';

export interface ListQuery {
  readonly column: SortColumn;
  readonly descending: boolean;
  /** As `foldName` makes it. */
  readonly term: string | undefined;
  readonly plan: SearchPlan;
  /** What the account may see, as a condition on a file's `number` and `visibility`. Undefined: everything. */
  readonly visible: RawBuilder<boolean> | undefined;
  readonly after: Position | undefined;
  /** Keys at which the steps of a walk end. */
  readonly steps: readonly (string | number)[];
  /** Most entries. */
  readonly limit: number;
}

/** Trigrams that begin with one or two characters, looked up together; more of them are not rare. */
const MOST_TRIGRAMS = 200;

/** What each database can look up, and what that costs: measured with 1,000,000 files. */
export const SEARCH_MEANS: Readonly<Record<DatabaseKind, SearchMeans>> = {
  sqlite: {
    piecesOf: (term) => (charactersOf(term).length < 3 ? [term] : neighbours(term, 3)),
    // 1.1 us against 0.1.
    lookUpCost: 11,
  },
  postgresql: {
    piecesOf: (term) => {
      // The trigrams of pg_trgm are of letters and digits; which those are depends on the locale.
      const words = neighbours(term, 3).filter((piece) => /^[a-z0-9]{3}$/.test(piece));
      return words.length > 0 ? words : neighbours(term, Math.min(2, charactersOf(term).length));
    },
    // 5 us against 0.5: rows are fetched from wherever they are.
    lookUpCost: 10,
  },
};

/** A page of a list in order. */
export async function listPage(database: Database, query: ListQuery): Promise<Position[]> {
  if (query.term === undefined && query.visible === undefined)
    return part(database, query, later(query, query.after), undefined, query.limit);
  if (query.plan.how === 'walk') return walk(database, query);
  const among = await lookUp(database, query.plan.pieces);
  return among === undefined ? walk(database, query) : select(database, query, among);
}

/** Columns that a list is sorted and filtered by. */
export const LISTED = sql`number, visibility, name_folded, size, created_at`;

/**
 * Of those that are found otherwise, such as by an index, all that fit are put into order.
 *
 * @param among a select of `LISTED`
 */
export async function select(
  database: Database,
  query: ListQuery,
  among: RawBuilder<unknown>,
): Promise<Position[]> {
  const { column, limit } = query;
  // The outer select tells the driver that nothing is changed.
  const { rows } = await sql<Position>`select number, key from (
    with among as materialized (${among})
    select number, ${sql.ref(column)} as key from among as files
    where ${fits(database.kind, query)} and ${later(query, query.after)}
    order by ${order(query)} limit ${limit}) as found order by ${order(query, 'key')}`.execute(
    database.queries,
  );
  return rows;
}

/**
 * Goes through the list in its order, some thousand entries at a time, until the page is full. It is read from an index
 * alone.
 */
async function walk(database: Database, query: ListQuery): Promise<Position[]> {
  const found: Position[] = [];
  let from = later(query, query.after);
  for (const end of [...query.steps, undefined]) {
    found.push(...(await part(database, query, from, end, query.limit - found.length)));
    if (found.length >= query.limit || end === undefined) break;
    from = sql<boolean>`${sql.ref(query.column)} ${sign(query)} ${end}`;
    // Others have their turn: SQLite answers at once, on this thread.
    await new Promise(setImmediate);
  }
  return found;
}

/** What fits between two places of the list. */
async function part(
  database: Database,
  query: ListQuery,
  from: RawBuilder<boolean>,
  end: string | number | undefined,
  limit: number,
): Promise<Position[]> {
  const column = sql.ref(query.column);
  const until = end === undefined ? sql`` : sql`and ${column} ${query.descending ? sql`>=` : sql`<=`} ${end}`;
  const { rows } = await sql<Position>`select number, ${column} as key from files
    where deleted_at is null and ${from} ${until} and ${fits(database.kind, query)}
    order by ${order(query)} limit ${limit}`.execute(database.queries);
  return rows;
}

function fits(kind: DatabaseKind, { term, visible }: ListQuery): RawBuilder<boolean> {
  const place = kind === 'postgresql' ? sql`strpos` : sql`instr`;
  const hasTerm = term === undefined ? sql<boolean>`1 = 1` : sql<boolean>`${place}(name_folded, ${term}) > 0`;
  return visible === undefined ? hasTerm : sql<boolean>`${hasTerm} and ${visible}`;
}

function later(query: ListQuery, after: Position | undefined): RawBuilder<boolean> {
  if (after === undefined) return sql<boolean>`1 = 1`;
  return sql<boolean>`(${sql.ref(query.column)}, number) ${sign(query)} (${after.key}, ${after.number})`;
}

function sign({ descending }: ListQuery): RawBuilder<unknown> {
  return descending ? sql`<` : sql`>`;
}

function order({ column, descending }: ListQuery, name: string = column): RawBuilder<unknown> {
  const way = descending ? sql`desc` : sql`asc`;
  return sql`${sql.ref(name)} ${way}, number ${way}`;
}

/** A select of the files that have every piece in their names; undefined: it cannot be told by the index. */
async function lookUp(
  database: Database,
  pieces: readonly string[],
): Promise<RawBuilder<unknown> | undefined> {
  if (database.kind === 'postgresql') {
    const conditions = pieces.map((piece) =>
      charactersOf(piece).length === 3
        ? sql`name_folded like ${`%${piece}%`}`
        : sql`headwater_grams(name_folded) @> array[${piece}]`,
    );
    return sql`select ${LISTED} from files where deleted_at is null and ${sql.join(conditions, sql` and `)}`;
  }
  const [piece = ''] = pieces;
  const trigrams = charactersOf(piece).length === 3 ? undefined : await trigramsFrom(database, piece);
  if (trigrams !== undefined && trigrams.length > MOST_TRIGRAMS) return undefined;
  const match = trigrams === undefined ? pieces.map(quoted).join(' AND ') : trigrams.map(quoted).join(' OR ');
  const numbers =
    match === '' ? sql`select 0` : sql`select rowid from files_search where files_search match ${match}`;
  return sql`select ${LISTED} from files where number in (${numbers}) and deleted_at is null`;
}

/** Trigrams of names that begin with one or two characters. */
async function trigramsFrom({ queries }: Database, start: string): Promise<string[]> {
  const { rows } = await sql<{ term: string }>`select term from files_trigrams
    where term >= ${start} and term <= ${`${start}\u{10ffff}`} limit ${MOST_TRIGRAMS + 1}`.execute(queries);
  return rows.map(({ term }) => term);
}

/** A string of FTS5's own language. */
function quoted(text: string): string {
  return `"${text.replaceAll('"', '""')}"`;
}
