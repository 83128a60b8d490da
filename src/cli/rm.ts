import { Argument, Command } from 'commander';

import type { FileDetails } from '../core/api/files.ts';
import { HeadwaterError } from '../core/errors.ts';
import { fileNamed } from '../client/fleet/file-named.ts';
import { confirmed, type Questioner } from './fleet/ask.ts';
import { say, type Said } from './fleet/said.ts';
import { withFleet } from './fleet/with-fleet.ts';
import { count, size } from './print/amounts.ts';
import { oneLine } from './print/plain-text.ts';

interface RmOptions extends Said {
  readonly yes?: true;
}

/** `headwater rm`. */
export function rmCommand(): Command {
  return new Command('rm')
    .summary('delete files of a fleet')
    .description(
      'Deletes files from the fleet: nobody lists or downloads them any more. What file servers serve in place stays on their disks.',
    )
    .usage('NAME|ID... [options]')
    .addArgument(new Argument('<NAME|ID...>', 'names of files in the fleet, or ids'))
    .option('-y, --yes', 'do not ask')
    .option('--json', 'print one JSON object for each file')
    .helpOption('-h, --help', 'print this help')
    .action(async (names: string[], options: RmOptions) => {
      await withFleet(async ({ client, signal }) => {
        // All of them are looked up first, so that a slip in one name deletes nothing.
        const files: FileDetails[] = [];
        for (const each of names) files.push(await fileNamed<FileDetails>(client, each, signal));
        if (options.yes !== true) await agreeTo(files);
        for (const { id, name } of files) {
          await client.ask('DELETE', `v1/files/${id}`, { signal });
          say(options, { event: 'deleted', id, name }, `${name} is deleted.`);
        }
      });
    });
}

/** @throws HeadwaterError `HW_USAGE` where nobody can be asked, `HW_INTERRUPTED` when the person says no */
async function agreeTo(files: readonly FileDetails[]): Promise<void> {
  const at: Questioner = process;
  if (at.stdin.isTTY !== true) {
    throw new HeadwaterError(
      'HW_USAGE',
      'standard input is no terminal to ask at: --yes deletes without asking',
    );
  }
  const [first] = files;
  const what =
    files.length === 1 && first !== undefined
      ? `${oneLine(first.name)} (${size(first.size)}, on ${count(first.holders, 'server')})`
      : `these ${count(files.length, 'file')}: ${files.map(({ name }) => oneLine(name)).join(', ')}`;
  if (await confirmed(`Delete ${what}?`, at)) return;
  throw new HeadwaterError('HW_INTERRUPTED', 'nothing was deleted');
}
