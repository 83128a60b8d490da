import type { GrantClaims } from '../../core/api/files.ts';
import { HeadwaterError } from '../../core/errors.ts';
import type { FleetClock } from './fleet-clock.ts';
import { readGrantToken } from './grant-token.ts';
import type { KeyRing } from './key-ring.ts';
import { CLOCK_TOLERANCE, MOST_CHECKED_TOKENS } from './limits.ts';
import type { Revocations } from './revocations.ts';
import { verifySigned } from './verify-signed.ts';

interface Checked {
  readonly kid: string;
  readonly claims: GrantClaims;
}

export interface GrantCheckOptions {
  /** The fleet's id. */
  readonly fleet: () => string | undefined;
  readonly keys: KeyRing;
  readonly clock: FleetClock;
  readonly revocations: Revocations;
}

/**
 * Checks grants without asking anyone. A signature is checked once; whether the grant's time is over, its key no longer
 * counts or it was revoked is asked every time.
 */
export class GrantCheck {
  readonly #options: GrantCheckOptions;
  /** The one used longest ago first. */
  readonly #checked = new Map<string, Checked>();

  constructor(options: GrantCheckOptions) {
    this.#options = options;
  }

  /**
   * What the token grants for that file.
   *
   * @param file the id that the request's path has
   * @throws HeadwaterError `HW_TOKEN_INVALID`, `HW_TOKEN_EXPIRED`, `HW_GRANT_OTHER_FLEET`, `HW_GRANT_OTHER_FILE`,
   *   `HW_GRANT_REVOKED`
   */
  async check(token: string, file: string): Promise<GrantClaims> {
    const { claims } = this.#remembered(token) ?? (await this.#verify(token));
    const { clock, revocations } = this.#options;
    if (clock.now() >= (claims.exp + CLOCK_TOLERANCE) * 1000) {
      throw new HeadwaterError('HW_TOKEN_EXPIRED', 'the grant is over; have it renewed', {
        details: { expiredAt: new Date(claims.exp * 1000).toISOString() },
      });
    }
    if (claims.file !== file) {
      throw new HeadwaterError('HW_GRANT_OTHER_FILE', `the grant is for the file ${claims.file}`);
    }
    const gone = revocations.reasonAgainst(claims);
    if (gone === 'revoked') throw new HeadwaterError('HW_GRANT_REVOKED', 'the grant was revoked');
    if (gone === 'deleted') throw new HeadwaterError('HW_GRANT_REVOKED', 'the file was deleted');
    return claims;
  }

  #remembered(token: string): Checked | undefined {
    const checked = this.#checked.get(token);
    if (checked === undefined) return undefined;
    this.#checked.delete(token);
    // Its key was withdrawn since.
    if (this.#options.keys.known(checked.kid) === undefined) return undefined;
    this.#checked.set(token, checked);
    return checked;
  }

  async #verify(token: string): Promise<Checked> {
    const { fleet, keys } = this.#options;
    const { claims, ...signed } = readGrantToken(token);
    await verifySigned(signed, claims.iss, fleet(), keys);
    const { kid } = signed;
    const checked = { kid, claims };
    this.#checked.set(token, checked);
    if (this.#checked.size > MOST_CHECKED_TOKENS) {
      for (const [oldest] of this.#checked) {
        this.#checked.delete(oldest);
        break;
      }
    }
    return checked;
  }
}
