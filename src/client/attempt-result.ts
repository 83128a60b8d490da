import type { Tally } from './tally.ts';
import type { Verification } from './types.ts';

/** What came of an attempt that went well. */
export interface AttemptResult {
  readonly output: string;
  readonly size: number;
  readonly verified: Verification;
  readonly sha256: string | undefined;
  readonly tailFrom: number | undefined;
  readonly tally: Tally;
}
