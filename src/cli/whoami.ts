import { Command, Option } from 'commander';

import type { User } from '../core/api/accounts.ts';
import { say, type Said } from './fleet/said.ts';
import { withFleet } from './fleet/with-fleet.ts';

/** `headwater whoami`. */
export function whoamiCommand(): Command {
  return new Command('whoami')
    .summary('say who is logged in, and where')
    .description('Says who is logged in, with which role, and at which fleet.')
    .addOption(new Option('--json', 'print one JSON object'))
    .helpOption('-h, --help', 'print this help')
    .action(async (options: Said) => {
      await withFleet(async ({ client, signal }) => {
        const user = await client.ask<User>('GET', 'v1/me', { signal });
        const [url = ''] = client.addresses;
        say(options, { ...user, url }, `${user.email} (${user.role}) at ${url}`);
      });
    });
}
