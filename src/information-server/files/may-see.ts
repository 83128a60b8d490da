import type { Queries } from '../../database/database.ts';
import type { Caller } from '../authentication.ts';
import type { FileFacts } from './file-facts.ts';

type Seen = Pick<FileFacts, 'id' | 'visibility' | 'ownerId'>;

/** Whether somebody may see a file. Undefined: only the list of its readers tells. */
export function maySeeWithoutList(file: Seen, caller: Pick<Caller, 'id' | 'role'>): true | undefined {
  const may = file.visibility === 'everyone' || caller.role === 'admin' || file.ownerId === caller.id;
  return may || undefined;
}

/** Whether somebody may see a file: everyone's, their own, one that names them, and an admin any. */
export async function maySee(db: Queries, file: Seen, caller: Pick<Caller, 'id' | 'role'>): Promise<boolean> {
  if (maySeeWithoutList(file, caller) === true) return true;
  const listed = await listedReaders(db, [{ fileId: file.id, userId: caller.id }]);
  return listed.size > 0;
}

/** Of pairs of file and user those where the file names the user, as `readerKey` writes them. */
export async function listedReaders(
  db: Queries,
  pairs: readonly { readonly fileId: string; readonly userId: string }[],
): Promise<Set<string>> {
  if (pairs.length === 0) return new Set();
  const rows = await db
    .selectFrom('file_readers')
    .select(['file_id', 'user_id'])
    .where('file_id', 'in', [...new Set(pairs.map(({ fileId }) => fileId))])
    .where('user_id', 'in', [...new Set(pairs.map(({ userId }) => userId))])
    .execute();
  return new Set(rows.map((row) => readerKey(row.file_id, row.user_id)));
}

export function readerKey(fileId: string, userId: string): string {
  return `${fileId} ${userId}`;
}
