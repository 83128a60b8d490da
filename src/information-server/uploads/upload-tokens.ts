import type { InternalClaims, UploadClaims } from '../../core/api/uploads.ts';
import type { Context } from '../context.ts';
import { keyRingOf } from '../keys/key-ring.ts';
import { signToken } from '../keys/sign-token.ts';
import { perContext } from '../per-context.ts';
import { INTERNAL_TOKEN, UPLOAD_TOKEN } from './limits.ts';

/** A token, and the moment in milliseconds since 1970 at which it is over. */
export interface Signed {
  readonly token: string;
  readonly expiresAt: number;
}

/** Leave to send chunks for an upload. */
export async function uploadToken(
  context: Context,
  { id, user, keepUntil }: { readonly id: string; readonly user: string; readonly keepUntil: number },
): Promise<Signed> {
  const { iat, exp } = times(context, UPLOAD_TOKEN);
  const claims: UploadClaims = {
    iss: context.fleet,
    aud: 'headwater:upload',
    sub: user,
    jti: id,
    iat,
    exp,
    keep: Math.floor(keepUntil / 1000),
  };
  return { token: await signToken(await keyRingOf(context).signer(), claims), expiresAt: exp * 1000 };
}

/** What a server, or this one, asks file servers for chunks with. */
export async function internalToken(context: Context, asker: string): Promise<Signed> {
  const { iat, exp } = times(context, INTERNAL_TOKEN);
  const claims: InternalClaims = { iss: context.fleet, aud: 'headwater:chunk', sub: asker, iat, exp };
  return { token: await signToken(await keyRingOf(context).signer(), claims), expiresAt: exp * 1000 };
}

class OwnToken {
  readonly #context: Context;
  #signed: Signed | undefined;

  constructor(context: Context) {
    this.#context = context;
  }

  /** Of the last one at least half its time is left. */
  async get(): Promise<string> {
    const half = this.#context.now() + (INTERNAL_TOKEN * 1000) / 2;
    if (this.#signed === undefined || this.#signed.expiresAt < half) {
      this.#signed = await internalToken(this.#context, 'information-server');
    }
    return this.#signed.token;
  }
}

/** This information server's own token for file servers. */
export const ownTokenOf = perContext((context) => new OwnToken(context));

function times({ now }: Context, seconds: number): { iat: number; exp: number } {
  const iat = Math.floor(now() / 1000);
  return { iat, exp: iat + seconds };
}
