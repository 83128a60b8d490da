import type { JWK } from 'jose';

import { HeadwaterError } from '../../core/errors.ts';
import type { Database } from '../../database/database.ts';
import { perContext } from '../per-context.ts';
import { ensureKey, readKeys } from './key-store.ts';
import type { SigningKey } from './signing-key.ts';

/** Milliseconds after which keys are read again: other servers rotate them too, long before a new one signs. */
const RELOAD = 5_000;
/** Milliseconds between reads because of a key that nobody knows: anyone can make one up. */
const UNKNOWN_RELOAD = 1_000;

/** The fleet's keys as this server knows them. They are in the database; any server may change them. */
export class KeyRing {
  readonly #database: Database;
  readonly #now: () => number;
  #keys: readonly SigningKey[] = [];
  #readAt = -Infinity;
  #reading: Promise<void> | undefined;

  constructor(database: Database, now: () => number) {
    this.#database = database;
    this.#now = now;
  }

  /**
   * The key that signs now.
   *
   * @throws HeadwaterError `HW_DATABASE`
   */
  async signer(): Promise<SigningKey> {
    await this.#refresh();
    const found = this.#signer();
    if (found !== undefined) return found;
    await ensureKey(this.#database, this.#now());
    await this.#read();
    const made = this.#signer();
    if (made === undefined) throw new HeadwaterError('HW_INTERNAL', 'the fleet has no key that signs');
    return made;
  }

  /** The key with this id, while it is trusted. */
  async find(kid: string): Promise<SigningKey | undefined> {
    await this.#refresh();
    const known = this.#trusted().find((key) => key.kid === kid);
    if (known !== undefined || this.#now() - this.#readAt < UNKNOWN_RELOAD) return known;
    await this.#read();
    return this.#trusted().find((key) => key.kid === kid);
  }

  /** What file servers check grants with (RFC 7517): keys that signed, sign and will sign. */
  async jwks(): Promise<{ keys: JWK[] }> {
    await this.signer();
    return { keys: this.#trusted().map(({ publicJwk }) => publicJwk) };
  }

  /** Reads the keys at the next use: this server has changed them. */
  forget(): void {
    this.#readAt = -Infinity;
  }

  #signer(): SigningKey | undefined {
    const now = this.#now();
    const active = this.#keys.findLast(
      ({ activeFrom, retiredAt }) => activeFrom <= now && (retiredAt === undefined || retiredAt > now),
    );
    // Another server whose clock is ahead has made the first one: everyone knows it all the same.
    return active ?? this.#trusted()[0];
  }

  #trusted(): readonly SigningKey[] {
    const now = this.#now();
    return this.#keys.filter(({ expiresAt }) => expiresAt === undefined || expiresAt > now);
  }

  async #refresh(): Promise<void> {
    if (Math.abs(this.#now() - this.#readAt) < RELOAD) return;
    try {
      await this.#read();
    } catch (error) {
      // Keys change rarely: those of a moment ago do while the database is away.
      if (this.#keys.length === 0) throw error;
    }
  }

  #read(): Promise<void> {
    this.#reading ??= (async () => {
      try {
        const now = this.#now();
        this.#keys = await readKeys(this.#database, now);
        this.#readAt = now;
      } finally {
        this.#reading = undefined;
      }
    })();
    return this.#reading;
  }
}

export const keyRingOf = perContext(({ database, now }) => new KeyRing(database, now));
