import type { Transaction } from 'kysely';

import { appendEvents, type NewEvent } from '../../database/append-events.ts';
import type { Tables } from '../../database/tables.ts';
import type { Context, LeaderTasks } from '../context.ts';
import { audienceOf } from '../grants/grant-changes.ts';
import { fenced, type LeaderTask } from '../leadership/leader-task.ts';
import { lookAt } from '../repair/repair-queue.ts';
import { FORGET_UPLOADS_EVERY, MOST_RELEASED, RELEASE_EVERY } from './limits.ts';

/** What the leader clears away of publishing. */
export const uploadsTasks: LeaderTasks = (context) => [forgetUploads(context), releaseContents(context)];

/** Forgets uploads whose time is over: file servers remove what was sent for them by themselves. */
function forgetUploads({ database, now }: Context): LeaderTask {
  return {
    name: 'forget-uploads',
    every: FORGET_UPLOADS_EVERY,
    run: (epoch) =>
      fenced(database, epoch, async (db) => {
        await db.deleteFrom('uploads').where('keep_until', '<=', now()).execute();
      }),
  };
}

interface Deleted {
  readonly number: number;
  readonly id: string;
  readonly contentId: number;
  readonly manifest: string;
}

/** Lets go of the chunks of deleted files, once the last grant for each is over, or said to be ended. */
function releaseContents({ database, now }: Context): LeaderTask {
  return {
    name: 'release-contents',
    every: RELEASE_EVERY,
    run: async (epoch) => {
      const at = now();
      // A grant that is given at this moment, by a server that has not heard yet, is in the database by then.
      const before = at - RELEASE_EVERY * 1000;
      const rows = await database.queries
        .selectFrom('files')
        .innerJoin('contents', 'contents.id', 'files.content_id')
        .select(['files.number', 'files.id', 'files.content_id', 'contents.manifest_sha256'])
        .where('files.deleted_at', '<', before)
        .where('files.released_at', 'is', null)
        .where('files.replicas', 'is not', null)
        .where((is) =>
          is.not(
            is.exists(
              is
                .selectFrom('grants')
                .select('grants.id')
                .whereRef('grants.file_id', '=', 'files.id')
                .where('grants.expires_at', '>', at)
                .where('grants.revoked_at', 'is', null)
                .where('grants.ended_at', 'is', null),
            ),
          ),
        )
        .orderBy('files.deleted_at')
        .limit(MOST_RELEASED)
        .execute();
      if (rows.length === 0) return;
      await fenced(database, epoch, async (db) => {
        const events: NewEvent[] = [];
        for (const row of rows) {
          const file = {
            number: row.number,
            id: row.id,
            contentId: row.content_id,
            manifest: row.manifest_sha256,
          };
          events.push(...(await release(db, file, at)));
        }
        await appendEvents(db, database.kind, events, at);
      });
    },
  };
}

async function release(
  db: Transaction<Tables>,
  { number, id, contentId, manifest }: Deleted,
  now: number,
): Promise<NewEvent[]> {
  const { numUpdatedRows } = await db
    .updateTable('files')
    .set({ released_at: now })
    .where('number', '=', number)
    .where('released_at', 'is', null)
    .executeTakeFirst();
  if (numUpdatedRows === 0n) return [];
  const others = await db
    .selectFrom('files')
    .select(['replicas', 'deleted_at'])
    .where('content_id', '=', contentId)
    .where('released_at', 'is', null)
    .execute();
  const audience = await audienceOf(db, contentId);
  const withdraw = !others.some((other) => other.deleted_at === null);
  const events: NewEvent[] = [{ kind: 'file.deleted', audience, data: { file: id, manifest, withdraw } }];
  if (others.some(({ replicas }) => replicas !== null)) await lookAt(db, [contentId], now);
  else {
    await db.deleteFrom('repairs').where('content_id', '=', contentId).execute();
    await db.deleteFrom('copies').where('content_id', '=', contentId).execute();
    await db.deleteFrom('drops').where('content_id', '=', contentId).execute();
    events.push({ kind: 'content.dropped', audience, data: { manifest } });
  }
  return events;
}
