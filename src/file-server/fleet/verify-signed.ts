import { verify } from 'node:crypto';

import { HeadwaterError } from '../../core/errors.ts';
import { invalid } from './grant-token.ts';
import type { KeyRing } from './key-ring.ts';

/** What a token says of who signed it, and what was signed. */
export interface Signed {
  readonly kid: string;
  readonly signed: string;
  readonly signature: Buffer;
}

/**
 * Checks that the fleet has signed it, with Node's own `verify`, which takes 0.06 ms where a JWT library takes 0.1.
 *
 * @param iss the fleet that the token names
 * @param fleet this server's
 * @throws HeadwaterError `HW_TOKEN_INVALID`, `HW_GRANT_OTHER_FLEET`
 */
export async function verifySigned(
  { kid, signed, signature }: Signed,
  iss: string,
  fleet: string | undefined,
  keys: KeyRing,
): Promise<void> {
  const ours = iss === fleet;
  // Nobody here can say whether another fleet signed it, and it would change nothing.
  const key = keys.known(kid) ?? (ours ? await keys.find(kid) : undefined);
  if (key === undefined) throw ours ? invalid("is signed with a key that is not the fleet's") : foreign();
  if (!verify(null, Buffer.from(signed), key, signature)) throw invalid('is not rightly signed');
  if (!ours) throw foreign();
}

function foreign(): HeadwaterError {
  return new HeadwaterError('HW_GRANT_OTHER_FLEET', 'the token is of another fleet');
}
