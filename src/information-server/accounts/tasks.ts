import type { Context } from '../context.ts';
import { fenced, type LeaderTask } from '../leadership/leader-task.ts';
import { removeOldFailures } from './attempts.ts';

/** Seconds between two rounds of removing what is over. */
const CLEAN_EVERY = 60;
/** Milliseconds for which a token that is over is still told from one that never was. */
const EXPIRED_KEPT = 7 * 86_400_000;

/** Removes sessions and API keys that have long been over, and failed logins that no longer count. */
export function accountsTasks({ database, now }: Context): readonly LeaderTask[] {
  return [
    {
      name: 'remove-old-sessions',
      every: CLEAN_EVERY,
      run: (epoch) =>
        fenced(database, epoch, async (queries) => {
          const before = now() - EXPIRED_KEPT;
          await queries.deleteFrom('sessions').where('expires_at', '<', before).execute();
          await queries.deleteFrom('api_keys').where('expires_at', '<', before).execute();
          await removeOldFailures(queries, now());
        }),
    },
  ];
}
