import type { Context } from '../context.ts';
import { readFiles, type FileFacts } from '../files/file-facts.ts';
import { perContext } from '../per-context.ts';
import { BriefMemory } from './brief-memory.ts';
import { readHolders, type Holders } from './holders.ts';

/**
 * Milliseconds for which a file's facts and holders are remembered: at thousands of grants a second they are read ten times
 * a second. What changes on this server counts at once; what changes on another, so much later.
 */
const MEMORY_TIME = 100;
/** Files and contents remembered. */
const MOST_REMEMBERED = 10_000;
/** Times `suspectAfter` without a heartbeat after which a server is suspected though no leader has said so. */
const LEADERLESS = 2;

/** What grants are given by. */
export interface Catalogue {
  readonly files: BriefMemory<string, FileFacts>;
  /** By content. */
  readonly holders: BriefMemory<number, Holders>;
}

export const catalogueOf = perContext((context: Context): Catalogue => {
  const { queries } = context.database;
  const options = { time: MEMORY_TIME, most: MOST_REMEMBERED };
  return {
    files: new BriefMemory((ids) => readFiles(queries, ids), options),
    holders: new BriefMemory((ids) => readHolders(queries, ids, seenAfter(context)), options),
  };
});

/** Who was not heard of since is suspected, milliseconds since 1970. */
export function seenAfter({ settings, now }: Context): number {
  return now() - settings.times.suspectAfter * 1000 * LEADERLESS;
}
