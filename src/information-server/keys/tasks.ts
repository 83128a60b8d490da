import type { LeaderTasks } from '../context.ts';
import { fenced } from '../leadership/leader-task.ts';

/** Seconds between two looks for keys that nobody trusts any more. */
const FORGET_KEYS_EVERY = 3_600;

export const keysTasks: LeaderTasks = ({ database, now }) => [
  {
    name: 'forget-past-keys',
    every: FORGET_KEYS_EVERY,
    run: (epoch) =>
      fenced(database, epoch, async (db) => {
        await db.deleteFrom('signing_keys').where('expires_at', '<=', now()).execute();
      }),
  },
];
