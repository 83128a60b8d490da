import type { Role } from '../../core/api/accounts.ts';
import { perContext } from '../per-context.ts';

/**
 * Milliseconds for which an account is taken for what it was: clients ask thousands of times a second. After a logout, a
 * change of role or a disabled account the other servers of the fleet know it this much later; this one knows at once.
 */
const CALLER_AGE = 1_000;
/** Accounts remembered; above it all are forgotten and looked up again. */
const MOST_CALLERS = 20_000;

/** What a token stands for, as it is in the database. */
export interface TokenHolder {
  readonly id: string;
  readonly email: string;
  readonly role: Role;
  readonly disabled: boolean;
  /** Milliseconds since 1970; null: never. */
  readonly expiresAt: number | null;
  readonly via: 'session' | 'api-key';
}

/** Holders of tokens lately seen, by the token's digest. */
export class CallerCache {
  readonly #seen = new Map<string, { readonly holder: TokenHolder; readonly at: number }>();
  #generation = 0;

  /** To be asked for before the database is, and handed to `keep`. */
  get generation(): number {
    return this.#generation;
  }

  find(digest: string): TokenHolder | undefined {
    const seen = this.#seen.get(digest);
    if (seen === undefined) return undefined;
    if (performance.now() - seen.at < CALLER_AGE) return seen.holder;
    this.#seen.delete(digest);
    return undefined;
  }

  /** Keeps what was looked up, unless something was forgotten meanwhile. */
  keep(digest: string, holder: TokenHolder, generation: number): void {
    if (generation !== this.#generation) return;
    if (this.#seen.size >= MOST_CALLERS) this.#seen.clear();
    this.#seen.set(digest, { holder, at: performance.now() });
  }

  /** After every change of accounts, sessions and keys, once it is committed. */
  forget(): void {
    this.#generation += 1;
    this.#seen.clear();
  }
}

export const callerCache = perContext(() => new CallerCache());
