import { sign } from 'node:crypto';

import { errors, jwtVerify } from 'jose';
import { ZodError } from 'zod';

import { GrantClaims } from '../../core/api/files.ts';
import { HeadwaterError } from '../../core/errors.ts';
import type { KeyRing } from './key-ring.ts';
import type { SigningKey } from './signing-key.ts';

/** `aud` of every grant. */
export const GRANT_AUDIENCE = 'headwater:file';

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/**
 * A grant's JWT (RFC 7519), signed with Ed25519 (RFC 8037). Node's own signature takes 20 µs; by way of WebCrypto it is
 * 70 µs, and every download begins with one. It is made on a thread of the pool.
 */
export function signGrant({ kid, privateKey }: SigningKey, claims: GrantClaims): Promise<string> {
  const signed = `${encode({ alg: 'EdDSA', typ: 'JWT', kid })}.${encode(claims)}`;
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  sign(null, Buffer.from(signed), privateKey, (error, signature) => {
    if (error === null) resolve(`${signed}.${signature.toString('base64url')}`);
    else reject(error);
  });
  return promise;
}

/**
 * What a grant says, once it is sure that this fleet said it.
 *
 * @throws HeadwaterError `HW_TOKEN_INVALID` (malformed, not signed by a key of the fleet), `HW_TOKEN_EXPIRED`,
 *   `HW_GRANT_OTHER_FLEET`
 */
export async function readGrant(
  token: string,
  keys: KeyRing,
  { fleet, now }: { readonly fleet: string; readonly now: number },
): Promise<GrantClaims> {
  try {
    const { payload } = await jwtVerify(
      token,
      async ({ kid }) => {
        const key = kid === undefined ? undefined : await keys.find(kid);
        if (key === undefined)
          throw new HeadwaterError('HW_TOKEN_INVALID', 'no key of the fleet signed this token');
        return key.publicKey;
      },
      // Naming the one algorithm refuses "none" and signatures made with a public key as a secret.
      { algorithms: ['EdDSA'], audience: GRANT_AUDIENCE, currentDate: new Date(now) },
    );
    const claims = GrantClaims.parse(payload);
    if (claims.iss !== fleet)
      throw new HeadwaterError('HW_GRANT_OTHER_FLEET', 'the grant is of another fleet');
    return claims;
  } catch (cause) {
    if (cause instanceof errors.JWTExpired) {
      throw new HeadwaterError('HW_TOKEN_EXPIRED', 'the grant has expired; ask for the download again', {
        cause,
      });
    }
    const isWrong = cause instanceof errors.JOSEError || cause instanceof ZodError;
    if (!isWrong) throw cause;
    throw new HeadwaterError('HW_TOKEN_INVALID', 'the token is not a grant of this fleet', { cause });
  }
}
