import { InternalClaims, UploadClaims } from '../../core/api/uploads.ts';
import { HeadwaterError } from '../../core/errors.ts';
import type { FleetClock } from '../fleet/fleet-clock.ts';
import { invalid, readToken } from '../fleet/grant-token.ts';
import type { KeyRing } from '../fleet/key-ring.ts';
import { CLOCK_TOLERANCE } from '../fleet/limits.ts';
import { verifySigned } from '../fleet/verify-signed.ts';
import { MOST_CHUNK_TOKENS } from './limits.ts';

/** Who may work with chunks: an upload, or a server of the fleet. */
export type ChunkLeave = UploadClaims | InternalClaims;

export interface ChunkTokensOptions {
  /** The fleet's id. */
  readonly fleet: () => string | undefined;
  readonly keys: KeyRing;
  readonly clock: FleetClock;
}

/** Checks the tokens that chunks are sent and asked for with, without asking anyone; each signature once. */
export class ChunkTokens {
  readonly #options: ChunkTokensOptions;
  readonly #checked = new Map<string, { readonly kid: string; readonly leave: ChunkLeave }>();

  constructor(options: ChunkTokensOptions) {
    this.#options = options;
  }

  /**
   * @throws HeadwaterError `HW_TOKEN_INVALID`, `HW_TOKEN_EXPIRED`, `HW_GRANT_OTHER_FLEET`, `HW_FORBIDDEN` (an upload's, where
   *   only servers may ask)
   */
  async check(token: string, who: 'upload-or-server' | 'server'): Promise<ChunkLeave> {
    const { keys, clock } = this.#options;
    let checked = this.#checked.get(token);
    // Its key may have been withdrawn since.
    if (checked === undefined || keys.known(checked.kid) === undefined) checked = await this.#verify(token);
    const { leave } = checked;
    if (clock.now() >= (leave.exp + CLOCK_TOLERANCE) * 1000) {
      throw new HeadwaterError('HW_TOKEN_EXPIRED', 'the token is over; ask for another', {
        details: { expiredAt: new Date(leave.exp * 1000).toISOString() },
      });
    }
    if (who === 'server' && leave.aud !== 'headwater:chunk') {
      throw new HeadwaterError('HW_FORBIDDEN', 'only servers of the fleet may ask for this');
    }
    return leave;
  }

  async #verify(token: string) {
    const { fleet, keys } = this.#options;
    const { payload, ...signed } = readToken(token);
    const claims = UploadClaims.or(InternalClaims).safeParse(payload);
    if (!claims.success) throw invalid('lacks claims of an upload');
    await verifySigned(signed, claims.data.iss, fleet(), keys);
    const checked = { kid: signed.kid, leave: claims.data };
    this.#checked.delete(token);
    this.#checked.set(token, checked);
    if (this.#checked.size > MOST_CHUNK_TOKENS) {
      for (const [oldest] of this.#checked) {
        this.#checked.delete(oldest);
        break;
      }
    }
    return checked;
  }
}
