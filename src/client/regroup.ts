import type { HeadwaterError } from '../core/errors.ts';

/** The caller has stopped it. */
export class Interruption extends Error {}

/** Which sources are downloaded from has to be thought over again. */
export class Regroup extends Error {
  /** Why the download ends, if that cannot be. */
  readonly reason: HeadwaterError | undefined;

  constructor(reason?: HeadwaterError) {
    super('other sources are needed');
    this.reason = reason;
  }
}
