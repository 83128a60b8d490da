import { setTimeout as sleep } from 'node:timers/promises';

import type { Renewal } from '../../core/api/files.ts';
import { HeadwaterError } from '../../core/errors.ts';
import type { FleetClient } from './fleet-client.ts';

/** Part of its life after which a grant is renewed: time for many attempts is left. */
const RENEW_AT = 0.5;
/** Milliseconds between attempts to renew a grant while no information server is there. */
const TRY_AGAIN = 2_000;
/** Shortest time between two renewals, milliseconds: for grants that are good for a moment only. */
const LEAST_LIFE = 1_000;
/** Longest timer, milliseconds. */
const MOST_TIMER = 2 ** 31 - 1;

/** What a grant is made of. */
interface Granted extends Renewal {
  /** Below the fleet's address, such as `v1/downloads/ID`. */
  readonly path: string;
}

/** Leave to download or to publish one file, renewed as long as that runs. */
export class Grant {
  readonly #path: string;
  readonly #client: FleetClient;
  readonly #signal: AbortSignal;
  #token: string;
  #timer: NodeJS.Timeout | undefined;
  #renewing: Promise<boolean> | undefined;

  /** @param signal fires when the download is over */
  constructor(client: FleetClient, { path, token, expiresAt }: Granted, signal: AbortSignal) {
    this.#path = path;
    this.#client = client;
    this.#signal = signal;
    this.#token = token;
    signal.addEventListener('abort', () => clearTimeout(this.#timer), { once: true });
    this.#renewIn(lifeOf(token, expiresAt) * RENEW_AT);
  }

  /** What file servers are shown; changes. */
  readonly headers = (): Readonly<Record<string, string>> => ({ authorization: `Bearer ${this.#token}` });

  /**
   * Renews it now, or waits for the renewal under way: for as long as it takes while no information server is there.
   *
   * @returns false when there is none to be had any more: it was revoked, or the account may not
   */
  renew(): Promise<boolean> {
    this.#renewing ??= this.#renewed().finally(() => {
      this.#renewing = undefined;
    });
    return this.#renewing;
  }

  async #renewed(): Promise<boolean> {
    while (!this.#signal.aborted) {
      try {
        const { token, expiresAt } = await this.#client.ask<Renewal>('POST', `${this.#path}/renew`, {
          signal: this.#signal,
          repeatable: true,
        });
        this.#token = token;
        this.#renewIn(lifeOf(token, expiresAt) * RENEW_AT);
        return true;
      } catch (error) {
        if (!(error instanceof HeadwaterError) || error.remedy !== 'wait') return false;
        await sleep(TRY_AGAIN, undefined, { signal: this.#signal }).catch(() => undefined);
      }
    }
    return false;
  }

  #renewIn(milliseconds: number): void {
    clearTimeout(this.#timer);
    const pause = Math.min(MOST_TIMER, Math.max(LEAST_LIFE, milliseconds));
    this.#timer = setTimeout(() => void this.renew(), pause).unref();
  }
}

/**
 * Milliseconds from when it was signed to when it ends. By the fleet's own clock on both sides: that of this machine may
 * be wrong. What the token says is for others to check.
 */
export function lifeOf(token: string, expiresAt: string): number {
  try {
    const claims: unknown = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'));
    const { iat, exp } = claims as { iat?: unknown; exp?: unknown };
    if (typeof iat === 'number' && typeof exp === 'number') return (exp - iat) * 1000;
  } catch {
    // No JWT of ours: then by this machine's clock.
  }
  return Date.parse(expiresAt) - Date.now();
}
