import { Argument, Command, Option } from 'commander';

import { LEAST_KEEP, MOST_KEEP, MOST_REPLICAS } from '../core/api/uploads.ts';
import { listenForInterrupts } from './interrupt.ts';
import { option } from './option.ts';
import { anyText, duration, interval, type Kind, wholeNumber } from './option-kinds.ts';
import { readPutRequest, type RawPutOptions } from './put-request.ts';
import { runPut } from './run-put.ts';

const visibility: Kind<'everyone' | readonly string[]> = {
  takes: '"everyone", or emails of accounts, separated by commas',
  read(text) {
    if (text === 'everyone') return text;
    const emails = text.split(',').map((each) => each.trim());
    return emails.every((each) => /^\S+@\S+$/.test(each)) ? emails : undefined;
  },
};
const keep: Kind<number> = {
  takes: 'a duration from 1m to 30d, such as 24h',
  read(text) {
    const seconds = Math.ceil(duration.read(text) ?? 0);
    return seconds >= LEAST_KEEP && seconds <= MOST_KEEP ? seconds : undefined;
  },
};

const EXAMPLES = `
Examples:
  headwater put big.iso
  headwater put big.iso --name images/2026/big.iso --replicas 3
  headwater put ./photos                  (its files are photos/..., with the paths that they have in it)
  headwater put ./photos --name holidays  (they are holidays/...)
  tar c src | headwater put - --name src.tar --visibility ada@example.org,bob@example.org
  headwater put big.iso --replace

A chunk that the fleet has is not sent. Stopped or broken off in whatever way, the same command goes on: what was sent is kept
for --keep. A file is seen when every chunk has its copies, and not before. A folder's links and hidden files go too; what is
neither a file nor a folder is left out. Standard input, and what else has no size, is kept in a temporary file (TMPDIR)
until it is published, since its size decides how it is cut.

Exit statuses: 0 done; 2 usage, or the name is taken; 3 a name, an account or the fleet was not found; 5 local disk, or the
file changed meanwhile; 6 no room, or no server; 7 not allowed; 130 interrupted. Of several files the first that failed counts.
`;

/** `headwater put`. */
export function putCommand(): Command {
  return new Command('put')
    .summary('publish files in a fleet')
    .description('Publishes files in the fleet: their chunks go to its file servers, several copies of each.')
    .usage('FILE|DIR... [options]\n       headwater put - --name NAME [options]')
    .addArgument(
      new Argument('<FILE|DIR|-...>', 'files, folders with all that is in them, or "-" for standard input'),
    )
    .addOption(
      option(
        '--name <NAME>',
        'name in the fleet, a path with / (default: the last part of the path); of a folder, what its names begin with',
        anyText('a name'),
      ),
    )
    .addOption(
      option(
        '-r, --replicas <N>',
        "copies of each chunk, on as many servers (default: the fleet's)",
        wholeNumber(1, MOST_REPLICAS),
      ),
    )
    .addOption(
      option(
        '--zones <N>',
        'zones that the copies are spread over (default: as many as there are)',
        wholeNumber(1, MOST_REPLICAS),
      ),
    )
    .addOption(option('--visibility <WHO>', 'everyone (default), or emails with commas between', visibility))
    .option('--replace', 'take the name from the file that has it; that one is deleted')
    .addOption(
      option('--keep <TIME>', 'keep what was sent for this long when it is stopped (default: 24h)', keep),
    )
    .addOption(
      option('-i, --interval <SECONDS>', 'time between reports where there is no terminal', interval).default(
        1,
      ),
    )
    .addOption(new Option('--json', 'print events, one JSON object a line').conflicts('quiet'))
    .option('-q, --quiet', 'print nothing but errors')
    .helpOption('-h, --help', 'print this help')
    .addHelpText('after', EXAMPLES)
    .action(async (words: string[], raw: RawPutOptions) => {
      const request = readPutRequest(words, raw);
      using interrupts = listenForInterrupts();
      process.exitCode = await runPut(request, {
        stdin: process.stdin,
        stdout: process.stdout,
        stderr: process.stderr,
        interrupts,
        argv: process.argv.slice(2),
      });
    });
}
