import type { Settings } from './options.ts';
import type { Tally } from './tally.ts';

/** What an attempt was about, and what it left for the next one of the same download. */
export interface Left {
  readonly size: number;
  readonly sha256: string | undefined;
  readonly tally: Tally;
  /** No byte of it is of use. */
  readonly wrong: boolean;
}

/**
 * What an attempt may go on from. What this download has left of the same file is used with who gave what; what it has left
 * of another file goes; what an earlier run left is the earlier run's matter.
 */
export function inherited(
  left: Left | undefined,
  { size, sha256 }: Pick<Left, 'size' | 'sha256'>,
  settings: Settings,
): { readonly resume: boolean; readonly carried: Tally | undefined } {
  if (left === undefined) return { resume: settings.resume, carried: undefined };
  if (!left.wrong && left.size === size && left.sha256 === sha256)
    return { resume: true, carried: left.tally };
  const own = left.wrong || !left.tally.hasEarlier;
  return { resume: settings.resume && !own, carried: undefined };
}
