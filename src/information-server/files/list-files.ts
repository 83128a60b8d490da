import { sql, type RawBuilder } from 'kysely';

import type { FileEntry, FileList } from '../../core/api/files.ts';
import { foldName } from '../../core/fold-name.ts';
import type { Database, Queries } from '../../database/database.ts';
import type { Caller } from '../authentication.ts';
import type { Context } from '../context.ts';
import { readCursor, writeCursor, type Position } from './cursor.ts';
import { factsByNumber, type FileFacts } from './file-facts.ts';
import { LISTED, listPage, SEARCH_MEANS, select, type ListQuery, type SortColumn } from './list-query.ts';
import { fileSamplesOf } from './file-sample.ts';
import { planSearch, stepsOf, type SearchPlan } from './search-plan.ts';

/** What is asked of a list, complete. */
export interface ListRequest {
  readonly search?: string | undefined;
  readonly sort: 'name' | '-name' | 'size' | '-size' | 'createdAt' | '-createdAt';
  readonly limit: number;
  readonly cursor?: string | undefined;
}

const COLUMNS: Readonly<Record<string, SortColumn>> = {
  name: 'name_folded',
  size: 'size',
  createdAt: 'created_at',
};
/** Files that are not everyone's, and yet an account's to see, up to which they are looked up one by one. */
const MOST_OWN = 2_000;

/**
 * A page of the files that an account may see.
 *
 * @throws HeadwaterError `HW_USAGE` (the cursor), `HW_DATABASE`
 */
export async function listFiles(context: Context, caller: Caller, request: ListRequest): Promise<FileList> {
  const { database } = context;
  const { search, sort, limit, cursor } = request;
  const term = search === undefined ? undefined : foldName(search);
  const order = {
    column: COLUMNS[sort.replace('-', '')] ?? 'name_folded',
    descending: sort.startsWith('-'),
    after: cursor === undefined ? undefined : readCursor(request, cursor),
    // One more tells whether there is a next page.
    limit: limit + 1,
  };
  const sample = await fileSamplesOf(context).get();
  const means = SEARCH_MEANS[database.kind];
  const plan: SearchPlan =
    term === undefined ? { how: 'walk' } : planSearch({ ...order, term }, sample, means);
  const query = { ...order, term, plan, steps: stepsOf(order, sample) };
  const found = await visiblePage(database, caller, query);
  const page = found.slice(0, limit);
  const last = page.at(-1);
  const next = found.length > limit && last !== undefined ? writeCursor(request, last) : null;
  return { items: await pageEntries(database.queries, page), next };
}

/** The few files that are named to an account are a list of their own: nobody else's are walked past for them. */
async function visiblePage(
  database: Database,
  caller: Caller,
  query: Omit<ListQuery, 'visible'>,
): Promise<Position[]> {
  if (caller.role === 'admin') return listPage(database, { ...query, visible: undefined });
  const own = ownFiles(caller.id);
  const { rows } = await sql<{ number: number }>`${own} limit ${MOST_OWN + 1}`.execute(database.queries);
  if (rows.length > MOST_OWN) return listPage(database, { ...query, visible: seenBy(caller.id) });
  const visible = sql<boolean>`visibility = 'everyone'`;
  const everyones = await listPage(database, { ...query, visible });
  if (rows.length === 0) return everyones;
  const among = sql`select ${LISTED} from files where number in (${own}) and deleted_at is null`;
  const named = await select(database, { ...query, visible: undefined }, among);
  return merge(everyones, named, query);
}

/** Numbers of files that are not everyone's, and this account's to see. */
function ownFiles(user: string): RawBuilder<unknown> {
  return sql`select number from files where owner_id = ${user} and visibility = 'users'
    union select files.number from file_readers join files on files.id = file_readers.file_id
      where file_readers.user_id = ${user} and files.visibility = 'users'`;
}

function seenBy(user: string): RawBuilder<boolean> {
  return sql<boolean>`(visibility = 'everyone' or exists (select 1 from files as own where own.number = files.number
    and (own.owner_id = ${user} or exists (select 1 from file_readers where file_id = own.id and user_id = ${user}))))`;
}

function merge(
  one: readonly Position[],
  other: readonly Position[],
  { descending, limit }: Pick<ListQuery, 'descending' | 'limit'>,
): Position[] {
  const way = descending ? -1 : 1;
  return [...one, ...other]
    .sort((a, b) => way * (compare(a.key, b.key) || a.number - b.number))
    .slice(0, limit);
}

/** By the bytes of UTF-8, as the databases do: JavaScript's own order differs beyond U+FFFF. */
function compare(one: string | number, other: string | number): number {
  if (typeof one === 'number' || typeof other === 'number') return Number(one) - Number(other);
  return Buffer.compare(Buffer.from(one), Buffer.from(other));
}

async function pageEntries(db: Queries, page: readonly Position[]): Promise<FileEntry[]> {
  if (page.length === 0) return [];
  const facts = await factsByNumber(
    db,
    page.map(({ number }) => number),
  );
  return entriesOf(
    db,
    page.flatMap(({ number }) => facts.get(number) ?? []),
  );
}

/** Files as lists show them. */
export async function entriesOf(db: Queries, files: readonly FileFacts[]): Promise<FileEntry[]> {
  const holders = await countHolders(
    db,
    files.map(({ contentId }) => contentId),
  );
  return files.map((file) => entryOf(file, holders.get(file.contentId) ?? 0));
}

export function entryOf(file: FileFacts, holders: number): FileEntry {
  const { id, name, size, sha256, manifestSha256 } = file;
  return {
    id,
    name,
    size,
    sha256,
    createdAt: new Date(file.createdAt).toISOString(),
    manifestSha256,
    holders,
  };
}

/** Servers that hold something of each content and are not dead. */
async function countHolders(db: Queries, contentIds: readonly number[]): Promise<Map<number, number>> {
  if (contentIds.length === 0) return new Map();
  const rows = await db
    .selectFrom('holdings')
    .innerJoin('servers', 'servers.number', 'holdings.server_number')
    .select((is) => ['holdings.content_id', is.fn.countAll<number>().as('holders')])
    .where('holdings.content_id', 'in', contentIds)
    .where('servers.state', '!=', 'dead')
    .groupBy('holdings.content_id')
    .execute();
  return new Map(rows.map((row) => [row.content_id, row.holders]));
}
