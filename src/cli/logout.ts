import { Command, Option } from 'commander';

import { HeadwaterError } from '../core/errors.ts';
import { FleetClient } from '../client/fleet/fleet-client.ts';
import { forgetCredentials, readCredentials } from './fleet/credentials.ts';
import { say, type Said } from './fleet/said.ts';
import { listenForInterrupts } from './interrupt.ts';
import { moment } from './print/moments.ts';

/** `headwater logout`. */
export function logoutCommand(): Command {
  return new Command('logout')
    .summary('end the session at a fleet')
    .description('Ends the session at the fleet, and forgets it here.')
    .addOption(new Option('--json', 'print one JSON object'))
    .helpOption('-h, --help', 'print this help')
    .action(logout);
}

async function logout(options: Said): Promise<void> {
  using interrupts = listenForInterrupts();
  const warn = (text: string): void => void process.stderr.write(`headwater: ${text}\n`);
  const left = await readCredentials(process.env, warn);
  if (left === undefined) {
    say(options, { event: 'logout', was: null }, 'Nobody is logged in.');
    return;
  }
  const { addresses, token, email, ca, expiresAt } = left;
  const client = new FleetClient({ addresses, token, ...(ca !== undefined && { tls: { ca } }) });
  let ended = true;
  try {
    await client.ask('POST', 'v1/auth/logout', { signal: interrupts.signal, repeatable: true });
  } catch (error) {
    if (!(error instanceof HeadwaterError)) throw error;
    // A session that is over already is what was wanted.
    ended = error.code === 'HW_TOKEN_INVALID' || error.code === 'HW_TOKEN_EXPIRED';
    if (!ended)
      warn(`the fleet could not be told (${error.message}): the session itself ends ${moment(expiresAt)}`);
  } finally {
    await client.close();
  }
  // Whatever the fleet says: who logs out wants nothing left here.
  await forgetCredentials(process.env);
  say(options, { event: 'logout', was: email, ended }, `${email} is logged out.`);
}
