import type { Queries } from '../../database/database.ts';

/** A file that is not deleted, and the content it points at. */
export interface FileFacts {
  readonly number: number;
  readonly id: string;
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  readonly sha256: string;
  readonly manifestSha256: string;
  readonly contentId: number;
  /** Bytes. */
  readonly chunkSize: number;
  readonly ownerId: string | undefined;
  readonly visibility: 'everyone' | 'users';
  /** Copies of each chunk that are wanted; undefined: it is served in place. */
  readonly replicas: number | undefined;
  /** Zones to spread them over. */
  readonly zones: number | undefined;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
}

/** Files by id; those deleted or unknown are left out. */
export async function readFiles(db: Queries, ids: readonly string[]): Promise<Map<string, FileFacts>> {
  const rows = await fileRows(db).where('files.id', 'in', ids).execute();
  return new Map(rows.map((row) => [row.id, factsOf(row)]));
}

/** A file that somebody has a grant for: of what was published the chunks stay until the last grant is over. */
export async function readGrantedFile(db: Queries, id: string): Promise<FileFacts | undefined> {
  const row = await allRows(db)
    .where('files.id', '=', id)
    .where((is) =>
      is.or([
        is('files.deleted_at', 'is', null),
        is.and([is('files.replicas', 'is not', null), is('files.released_at', 'is', null)]),
      ]),
    )
    .executeTakeFirst();
  return row === undefined ? undefined : factsOf(row);
}

/** Files by number, in the same way. */
export async function factsByNumber(
  db: Queries,
  numbers: readonly number[],
): Promise<Map<number, FileFacts>> {
  const rows = await fileRows(db).where('files.number', 'in', numbers).execute();
  return new Map(rows.map((row) => [row.number, factsOf(row)]));
}

/** The file of this name, whatever its case is: names are unique as they are written. */
export async function readFileNamed(db: Queries, name: string): Promise<FileFacts | undefined> {
  const row = await fileRows(db).where('files.name', '=', name).executeTakeFirst();
  return row === undefined ? undefined : factsOf(row);
}

function fileRows(db: Queries) {
  return allRows(db).where('files.deleted_at', 'is', null);
}

function allRows(db: Queries) {
  return db
    .selectFrom('files')
    .innerJoin('contents', 'contents.id', 'files.content_id')
    .select([
      'files.number',
      'files.id',
      'files.name',
      'files.size',
      'files.content_id',
      'files.owner_id',
      'files.visibility',
      'files.created_at',
      'files.replicas',
      'files.zones',
      'contents.sha256',
      'contents.manifest_sha256',
      'contents.chunk_size',
    ]);
}

type Row = Awaited<ReturnType<ReturnType<typeof fileRows>['execute']>>[number];

function factsOf(row: Row): FileFacts {
  return {
    number: row.number,
    id: row.id,
    name: row.name,
    size: row.size,
    sha256: row.sha256,
    manifestSha256: row.manifest_sha256,
    contentId: row.content_id,
    chunkSize: row.chunk_size,
    ownerId: row.owner_id ?? undefined,
    visibility: row.visibility,
    replicas: row.replicas ?? undefined,
    zones: row.zones ?? undefined,
    createdAt: row.created_at,
  };
}
