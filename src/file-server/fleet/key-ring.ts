import { createPublicKey, type KeyObject } from 'node:crypto';

import * as z from 'zod';

import { KEYS_AGE, KEYS_ASKED_AGAIN, KEYS_PATIENCE } from './limits.ts';

/** A JWKS (RFC 7517). */
export type KeySet = { readonly keys: readonly Readonly<Record<string, unknown>>[] };

export const KEY_SET = z.object({ keys: z.array(z.record(z.string(), z.unknown())).max(100) });

export interface KeyRingOptions {
  /** The keys of an earlier time. */
  readonly kept: KeySet | undefined;
  /** Asks an information server. */
  readonly ask: () => Promise<KeySet>;
  /** Keeps them for the next start. */
  readonly keep: (keys: KeySet) => void;
}

/**
 * The fleet's public keys. Asked for again when a key is not known, when an event says so, and now and then; while no
 * information server answers, those that are there go on to count.
 */
export class KeyRing {
  readonly #options: KeyRingOptions;
  #keys = new Map<string, KeyObject>();
  #asking: Promise<void> | undefined;
  #askedAt = -Infinity;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: KeyRingOptions) {
    this.#options = options;
    if (options.kept !== undefined) this.#take(options.kept);
  }

  get size(): number {
    return this.#keys.size;
  }

  /** The key of that id, if it is at hand. */
  known(kid: string): KeyObject | undefined {
    return this.#keys.get(kid);
  }

  /** The key of that id; asks for the keys when it is not known, unless that was done a moment ago. */
  async find(kid: string): Promise<KeyObject | undefined> {
    const known = this.#keys.get(kid);
    if (known !== undefined) return known;
    if (this.#asking !== undefined || performance.now() - this.#askedAt >= KEYS_ASKED_AGAIN) {
      await within(KEYS_PATIENCE, this.refresh());
    }
    return this.#keys.get(kid);
  }

  /** Asks for the keys now. Never fails: those that are there stay. */
  refresh(): Promise<void> {
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  /** An information server told them. */
  told(keys: KeySet): void {
    this.#take(keys);
    this.#options.keep(keys);
    this.#plan();
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  async #ask(): Promise<void> {
    this.#askedAt = performance.now();
    try {
      this.told(await this.#options.ask());
    } catch {
      // No information server answers, which its own connection tells about.
      this.#plan();
    }
  }

  #plan(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.refresh(), KEYS_AGE).unref();
  }

  #take({ keys }: KeySet): void {
    const taken = new Map<string, KeyObject>();
    for (const jwk of keys) {
      const { kid, kty, crv } = jwk;
      if (typeof kid !== 'string' || kty !== 'OKP' || crv !== 'Ed25519') continue;
      try {
        taken.set(kid, createPublicKey({ key: { kty, crv, x: String(jwk['x']) }, format: 'jwk' }));
      } catch {
        // A key that is none vouches for nothing.
      }
    }
    this.#keys = taken;
  }
}

async function within(milliseconds: number, work: Promise<void>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, milliseconds);
  await Promise.race([work, promise]);
  clearTimeout(timer);
}
