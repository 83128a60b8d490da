import type { HeadwaterError } from '../../core/errors.ts';
import { LEAST_SETBACK, MOST_SETBACK } from '../limits.ts';
import type { Setback } from '../store.ts';
import { sameIdentity, type FileIdentity } from './file-identity.ts';

/** Remembers what could not be hashed, so that it is tried again, but less and less often. */
export class Setbacks {
  readonly #byPath = new Map<string, Setback & { identity: FileIdentity; wait: number }>();

  /** Undefined when the file, in that state, may be tried now. */
  of(path: string, identity: FileIdentity): Setback | undefined {
    const last = this.#byPath.get(path);
    const holds =
      last !== undefined && sameIdentity(last.identity, identity) && performance.now() < last.until;
    return holds ? last : undefined;
  }

  add(path: string, identity: FileIdentity, error: HeadwaterError): Setback {
    const last = this.#byPath.get(path);
    const again = last !== undefined && sameIdentity(last.identity, identity);
    const wait = again ? Math.min(MOST_SETBACK, last.wait * 2) : LEAST_SETBACK;
    const setback = { error, until: performance.now() + wait, identity, wait };
    this.#byPath.set(path, setback);
    return setback;
  }

  /** It was hashed, or is another file now. */
  forget(path: string): void {
    this.#byPath.delete(path);
  }
}
