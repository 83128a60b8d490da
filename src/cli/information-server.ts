import { Command, Option } from 'commander';

import { MOST_REPLICAS } from '../core/api/uploads.ts';
import { INFORMATION_PORT, LEAST_JOIN_TOKEN } from '../information-server/options.ts';
import {
  INFORMATION_LOG_LEVELS,
  readInformationServerRequest,
  type RawInformationServerOptions,
} from './information-server-request.ts';
import { option } from './option.ts';
import { anyText, byteCount, duration, hosts, wholeNumber, type Kind } from './option-kinds.ts';
import { runInformationServer } from './run-information-server.ts';

const EXAMPLES = `
Examples:
  headwater information-server --data /var/lib/headwater
  HEADWATER_DATABASE_URL=postgres://fleet@db.example/fleet headwater information-server --public-url https://fleet.example

Environment; each but the email can be in a file instead, named by the same variable with _FILE at its end:
  HEADWATER_DATABASE_URL    postgres://... (default: an SQLite file in the data folder)
  HEADWATER_BROKER_URL      amqp://... (default: events go to file servers over HTTP)
  HEADWATER_ADMIN_EMAIL     the account that is made while there is none at all,
  HEADWATER_ADMIN_PASSWORD  and its password
  HEADWATER_JOIN_TOKEN      what file servers join with, ${LEAST_JOIN_TOKEN} characters or more (default: made once, kept in the
                            file join-token of the data folder)
  HEADWATER_REPLICAS        what --replicas says

Several of them on one database share the work, and one leads. The log is on standard error, one JSON object a line.

Exit statuses: 0 stopped by a signal; 2 usage, or a port that cannot be listened on; 5 the data folder; 6 the database
cannot be reached; 130 stopped at once by a second Ctrl-C.
`;

const finite: Kind<number> = {
  takes: 'a duration such as 90s, 5m or 1h, or a number of seconds',
  read: (text) => (text === 'never' ? undefined : duration.read(text)),
};

/** `headwater information-server`. */
export function informationServerCommand(): Command {
  return new Command('information-server')
    .summary('run an information server of a fleet')
    .description("Answers for a fleet's catalogue, users, grants and servers.")
    .usage('[options]')
    .addOption(
      option(
        '--data <DIR>',
        "folder of its own (default: headwater in the user's data folder)",
        anyText('a folder'),
      ),
    )
    .addOption(
      option(
        '-p, --port <PORT>',
        `port to listen on, 0 for any free one (default: ${INFORMATION_PORT})`,
        wholeNumber(0, 65_535, 'a port'),
      ),
    )
    .addOption(
      option(
        '-a, --address <ADDRESS>',
        "address to listen on (default: all of this machine's)",
        anyText('an address or host name of this machine'),
      ),
    )
    .addOption(
      option(
        '--public-url <URL>',
        'where people and file servers reach it, where that is not what it listens on',
        anyText('a URL'),
      ),
    )
    .addOption(option('--tls-cert <FILE>', 'certificate chain (PEM) for https', anyText('a PEM file')))
    .addOption(option('--tls-key <FILE>', 'the private key (PEM) of --tls-cert', anyText('a PEM file')))
    .addOption(
      option(
        '--trusted-proxy <ADDRESS,...>',
        'proxies in front whose X-Forwarded-For is believed: addresses, networks such as 10.0.0.0/8, loopback, uniquelocal',
        hosts,
      ),
    )
    .addOption(
      option(
        '--replicas <N>',
        'copies of each chunk of what is published, where put does not say (default: 2)',
        wholeNumber(1, MOST_REPLICAS, 'copies'),
      ),
    )
    .addOption(
      option(
        '--suspect-after <TIME>',
        'file servers not heard of for this long are suspected: no new downloads (default: 10s)',
        finite,
      ),
    )
    .addOption(
      option(
        '--dead-after <TIME>',
        'and for this long are dead: their chunks are copied anew (default: 5m)',
        finite,
      ),
    )
    .addOption(
      option(
        '--repair-per-server <SIZE>',
        'bytes that one file server is to be getting from others at any time (default: 512M)',
        byteCount,
      ),
    )
    .addOption(option('--repair-in-all <SIZE>', 'the same in the whole fleet (default: 8G)', byteCount))
    .addOption(
      new Option('--log <LEVEL>', 'what the log has; debug: every request')
        .choices(INFORMATION_LOG_LEVELS)
        .default('info'),
    )
    .addOption(new Option('--json', 'print events, one JSON object a line'))
    .helpOption('-h, --help', 'print this help')
    .addHelpText('after', EXAMPLES)
    .action(async (raw: RawInformationServerOptions) => {
      await runInformationServer(readInformationServerRequest(raw, process.env), process.stdout);
    });
}
