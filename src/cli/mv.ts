import { Argument, Command, Option } from 'commander';

import type { FileDetails } from '../core/api/files.ts';
import { fileNamed } from '../client/fleet/file-named.ts';
import { say, type Said } from './fleet/said.ts';
import { withFleet } from './fleet/with-fleet.ts';

/** `headwater mv`. */
export function mvCommand(): Command {
  return new Command('mv')
    .summary('rename a file of a fleet')
    .description('Gives a file of the fleet another name. Its id, and downloads under way, stay.')
    .usage('NAME|ID NEWNAME [options]')
    .addArgument(new Argument('<NAME|ID>', "the file's name in the fleet, or its id"))
    .addArgument(new Argument('<NEWNAME>', 'its new name; a path with / is one'))
    .addOption(new Option('--json', 'print one JSON object'))
    .helpOption('-h, --help', 'print this help')
    .action(async (nameOrId: string, name: string, options: Said) => {
      await withFleet(async ({ client, signal }) => {
        const before = await fileNamed<FileDetails>(client, nameOrId, signal);
        await client.ask('PATCH', `v1/files/${before.id}`, { body: { name }, signal });
        const value = { event: 'renamed', id: before.id, from: before.name, name };
        say(options, value, `${before.name} is ${name} now.`);
      });
    });
}
