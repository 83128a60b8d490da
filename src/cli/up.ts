import { Command, Option } from 'commander';

import { MOST_REPLICAS } from '../core/api/uploads.ts';
import { MOST_SERVERS } from '../file-server/limits.ts';
import { option, repeatableOption } from './option.ts';
import { anyText, interval, rate, wholeNumber, type Kind } from './option-kinds.ts';
import { runUp } from './run-up.ts';
import { UP_PORT } from './up/ports.ts';
import { readUpRequest, type RawUpOptions } from './up/up-request.ts';

/** More on one machine than any has shown to be good for: an information server answers thousands a second. */
const MOST_INFORMATION_SERVERS = 16;

const zones: Kind<readonly string[]> = {
  takes: 'zones, separated by commas, each of lower-case letters, digits and dashes',
  read(text) {
    const words = text.split(',').map((each) => each.trim());
    return words.every((each) => /^[a-z0-9][a-z0-9-]{0,62}$/.test(each)) ? words : undefined;
  },
};
const rateOrNone: Kind<number> = {
  takes: `${rate.takes}, or "none"`,
  read: (text) => (text === 'none' ? Infinity : rate.read(text)),
};

const EXAMPLES = `
Examples:
  headwater up --folder ./files
  headwater up --servers 4 --zones berlin,paris --folder ./files --folder ./more
  headwater up --information-servers 3 --limit 20M
  headwater up --servers 50 --replicas 5
  headwater up --json --port 0 --data /srv/fleet --folder /srv/files

The operator's console, on standard input (a terminal or a pipe):
  2       pause 2     pauses server 2: connections stay, no byte moves
  r2      resume 2    resumes it; starts it again when it has ended
  e2      end 2       ends it
  s, or an empty line prints the table;  quit, q stops everything, as Ctrl-C does

Every server is a process of its own, started again when it dies. Started again on the same data folder the fleet is as it
was: what is not said is as it was the last time.

Environment:
  HEADWATER_ADMIN_EMAIL, HEADWATER_ADMIN_PASSWORD    the first admin's (default: made up, and printed once)
  HEADWATER_DATABASE_URL    postgres://... (default: an SQLite file in the data folder)
  HEADWATER_BROKER_URL      amqp://... (default: events go to file servers over HTTP)

Exit statuses: 0 stopped; 2 usage, a port that cannot be listened on, or another "up" on the same data; 5 the data folder; 6
the database cannot be reached; 130 stopped at once by a second Ctrl-C.
`;

/** `headwater up`. */
export function upCommand(): Command {
  return new Command('up')
    .summary('run a whole fleet on this machine')
    .description(
      'Runs a whole fleet on this machine: information servers, file servers in zones, and the first admin.',
    )
    .usage('[options]')
    .addOption(
      option('-n, --servers <N>', 'how many file servers (default: 3)', wholeNumber(1, MOST_SERVERS)),
    )
    .addOption(option('--zones <ZONE,...>', 'their zones, in turn (default: a,b)', zones))
    .addOption(
      option(
        '--information-servers <N>',
        'how many information servers (default: 1)',
        wholeNumber(1, MOST_INFORMATION_SERVERS),
      ),
    )
    .addOption(
      repeatableOption(
        '--folder <DIR>',
        'every server serves the files in this folder, in place; repeatable (default: "files" in the data folder)',
        anyText('a folder'),
      ),
    )
    .addOption(
      option(
        '--limit <RATE>',
        'most bytes a second that each server sends, such as 20M, or "none"',
        rateOrNone,
      ),
    )
    .addOption(
      option(
        '--replicas <N>',
        'copies of each chunk that is published, where "put" does not say (default: 2)',
        wholeNumber(1, MOST_REPLICAS),
      ),
    )
    .addOption(
      option(
        '--data <DIR>',
        "folder of the fleet's own (default: headwater in the user's data folder)",
        anyText('a folder'),
      ),
    )
    .addOption(
      option(
        '-p, --port <PORT>',
        `port of the first information server, 0 for any free one (default: ${UP_PORT}, or a free one above it); the others have ports above it`,
        wholeNumber(0, 65_535, 'a port'),
      ),
    )
    .addOption(
      option(
        '-a, --address <ADDRESS>',
        'address to listen on, that clients reach this machine at (default: 127.0.0.1, this machine alone)',
        anyText('an address or host name of this machine'),
      ),
    )
    .addOption(option('-i, --interval <SECONDS>', 'time between tables', interval).default(1))
    .addOption(new Option('--json', 'print events, one JSON object a line'))
    .helpOption('-h, --help', 'print this help')
    .addHelpText('after', EXAMPLES)
    .action(async (raw: RawUpOptions) => {
      const { stdin, stdout, env } = process;
      await runUp(readUpRequest(raw, env), { stdin, stdout, env });
    });
}
