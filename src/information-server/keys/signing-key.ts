import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type JsonWebKey,
  type KeyObject,
} from 'node:crypto';

import { calculateJwkThumbprint, type JWK } from 'jose';
import type { Insertable, Selectable } from 'kysely';

import type { Tables } from '../../database/tables.ts';

/** A key that grants are signed with. Moments are milliseconds since 1970. */
export interface SigningKey {
  /** Thumbprint of the public key (RFC 7638). */
  readonly kid: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  /** As it is published (RFC 7517, RFC 8037). */
  readonly publicJwk: JWK;
  readonly createdAt: number;
  /** Signs from then on. */
  readonly activeFrom: number;
  /** Signs no more from then on. */
  readonly retiredAt: number | undefined;
  /** No longer trusted from then on. */
  readonly expiresAt: number | undefined;
}

type KeyRow = Selectable<Tables['signing_keys']>;

/** A new key, as it is stored. */
export async function makeKeyRow(
  now: number,
  activeFrom: number,
): Promise<Insertable<Tables['signing_keys']>> {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const publicJwk = publicKey.export({ format: 'jwk' });
  const kid = await calculateJwkThumbprint(publicJwk);
  return {
    kid,
    private_jwk: JSON.stringify(privateKey.export({ format: 'jwk' })),
    public_jwk: JSON.stringify({ ...publicJwk, kid, alg: 'EdDSA', use: 'sig' }),
    created_at: now,
    active_from: activeFrom,
    retired_at: null,
    expires_at: null,
  };
}

export function readKeyRow(row: KeyRow): SigningKey {
  const publicJwk = JSON.parse(row.public_jwk) as JWK;
  return {
    kid: row.kid,
    privateKey: createPrivateKey({ key: JSON.parse(row.private_jwk) as JsonWebKey, format: 'jwk' }),
    publicKey: createPublicKey({ key: publicJwk, format: 'jwk' }),
    publicJwk,
    createdAt: row.created_at,
    activeFrom: row.active_from,
    retiredAt: row.retired_at ?? undefined,
    expiresAt: row.expires_at ?? undefined,
  };
}
