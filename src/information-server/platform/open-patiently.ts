import { setTimeout as sleep } from 'node:timers/promises';

import { HeadwaterError } from '../../core/errors.ts';
import { openDatabase, type Database } from '../../database/database.ts';
import type { StartSettings } from '../settings.ts';

/** Seconds for which a database that cannot be reached is waited for at the start: machines and containers start in any order. */
const START_PATIENCE = 60;
/** Milliseconds between two tries. */
const TRY_EVERY = 1_000;

/**
 * Opens the database, and waits for one that is not there yet. What does not pass by itself is told at once.
 *
 * @throws HeadwaterError `HW_DATABASE`, `HW_DISK`, `HW_DISK_FULL`, `HW_USAGE`, `HW_INTERRUPTED`
 */
export async function openPatiently({
  database,
  log,
  signal,
}: Pick<StartSettings, 'database' | 'log' | 'signal'>): Promise<Database> {
  const until = performance.now() + START_PATIENCE * 1000;
  for (;;) {
    try {
      return await openDatabase(database);
    } catch (error) {
      const passes =
        error instanceof HeadwaterError &&
        error.code === 'HW_DATABASE' &&
        error.details['retryAfter'] !== undefined;
      if (!passes || performance.now() > until) throw error;
      log.warn(`${error.message}; tried again for ${START_PATIENCE} s in all`);
    }
    await sleep(TRY_EVERY, undefined, { signal }).catch(() => undefined);
    if (signal.aborted)
      throw new HeadwaterError('HW_INTERRUPTED', 'stopped while it waited for the database');
  }
}
