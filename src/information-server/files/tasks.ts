import type { Context, LeaderTasks } from '../context.ts';
import { fenced, type LeaderTask } from '../leadership/leader-task.ts';

/** Seconds between two steps. */
const CLEAN_EVERY = 5;
/** Milliseconds that the mark of a deleted file stays at least: whoever is just being told of it still finds what it was. */
const TOMBSTONE_KEPT = 3_600_000;
/** Rows looked at in one step: some milliseconds on SQLite, and a million contents in less than an hour. */
const MOST_LOOKED_AT = 2_000;

/** What the leader clears away of the catalogue, a little at a time. */
export const filesTasks: LeaderTasks = (context) => [forgetDeletedFiles(context), forgetContents(context)];

/** Forgets the marks of deleted files that no server holds any more: as long as one does, they keep it from coming back. */
function forgetDeletedFiles({ database, now }: Context): LeaderTask {
  let after = 0;
  return {
    name: 'forget-deleted-files',
    every: CLEAN_EVERY,
    run: async (epoch) => {
      const before = now() - TOMBSTONE_KEPT;
      const rows = await database.queries
        .selectFrom('files')
        .select(['number', 'deleted_at'])
        .where('deleted_at', '>', after)
        .where('deleted_at', '<', before)
        .orderBy('deleted_at')
        .limit(MOST_LOOKED_AT)
        .execute();
      const numbers = rows.map(({ number }) => number);
      // From the start again after the last of them. (Of more that were deleted in one millisecond some wait for the next
      // turn.)
      after = rows.length < MOST_LOOKED_AT ? 0 : (rows.at(-1)?.deleted_at ?? 0);
      if (numbers.length === 0) return;
      await fenced(database, epoch, (db) =>
        db
          .deleteFrom('files')
          .where('number', 'in', numbers)
          .where((is) =>
            is.not(
              is.exists(
                is
                  .selectFrom('holdings')
                  .select('holdings.content_id')
                  .whereRef('holdings.content_id', '=', 'files.content_id'),
              ),
            ),
          )
          .execute(),
      );
    },
  };
}

/** Forgets contents that no file points at and no server holds. */
function forgetContents({ database, now }: Context): LeaderTask {
  let after = 0;
  return {
    name: 'forget-contents',
    every: CLEAN_EVERY,
    run: async (epoch) => {
      const rows = await database.queries
        .selectFrom('contents')
        .select('id')
        .where('id', '>', after)
        .orderBy('id')
        .limit(MOST_LOOKED_AT)
        .execute();
      const first = rows[0]?.id;
      const last = rows.at(-1)?.id;
      after = rows.length < MOST_LOOKED_AT ? 0 : (last ?? 0);
      if (first === undefined || last === undefined) return;
      await fenced(database, epoch, (db) =>
        db
          .deleteFrom('contents')
          .where('id', '>=', first)
          .where('id', '<=', last)
          .where('created_at', '<', now() - TOMBSTONE_KEPT)
          .where((is) =>
            is.not(
              is.or([
                is.exists(
                  is
                    .selectFrom('holdings')
                    .select('holdings.content_id')
                    .whereRef('holdings.content_id', '=', 'contents.id'),
                ),
                is.exists(
                  is.selectFrom('files').select('files.id').whereRef('files.content_id', '=', 'contents.id'),
                ),
              ]),
            ),
          )
          .execute(),
      );
    },
  };
}
