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
  /** Milliseconds since 1970. */
  readonly createdAt: number;
}

/** Files by id; those deleted or unknown are left out. */
export async function readFiles(db: Queries, ids: readonly string[]): Promise<Map<string, FileFacts>> {
  const rows = await fileRows(db).where('files.id', 'in', ids).execute();
  return new Map(rows.map((row) => [row.id, factsOf(row)]));
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
      'contents.sha256',
      'contents.manifest_sha256',
      'contents.chunk_size',
    ])
    .where('files.deleted_at', 'is', null);
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
    createdAt: row.created_at,
  };
}
