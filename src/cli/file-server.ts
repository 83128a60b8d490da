import { Command, Option } from 'commander';

import { ServerName } from '../core/api/servers.ts';
import { Zone } from '../core/api/common.ts';
import { FIRST_PORT } from '../file-server/limits.ts';
import { readFileServerRequest, type RawFileServerOptions } from './file-server-request.ts';
import { option, repeatableOption } from './option.ts';
import {
  anyText,
  byteCountOrNone,
  duration,
  fitting,
  interval,
  rate,
  urls,
  wholeNumber,
} from './option-kinds.ts';
import { runFileServer } from './run-file-server.ts';
import { LOG_LEVELS } from './serve-request.ts';

const EXAMPLES = `
Examples:
  headwater file-server --folder /srv/files --join https://fleet.example --join-token-file token
  headwater file-server --folder /srv/files --join http://10.0.0.1:8400,http://10.0.0.2:8400 --zone cellar --limit 50M
  headwater file-server --join https://fleet.example --data /srv/headwater --capacity 2T

The operator's console, on standard input (a terminal or a pipe):
  p   pause     no byte moves, connections stay, new requests get 503; so does SIGUSR1
  r   resume    goes on; so does SIGUSR2
  d   drain     finishes the downloads that it has seen, takes no new ones
  q   quit      takes nothing new, lets answers finish, ends; again: at once. So do SIGTERM and Ctrl-C
  s, or an empty line prints how it is

Environment:
  HEADWATER_JOIN_TOKEN    what it joins with, or HEADWATER_JOIN_TOKEN_FILE; needed the first time only
  HEADWATER_BROKER_URL    amqp://... where the fleet's events come from RabbitMQ, or HEADWATER_BROKER_URL_FILE

Files of folders are served in place, hidden ones not, each to who has a grant for it. Chunks of published files lie in the
data folder: by default as many as leave 1 GiB of the disk free (5 % of a small one); --capacity 0 takes none. Started again
with the same data folder it is the same server, and hashes nothing again.

Exit statuses: 0 ended; 2 usage, a port that cannot be listened on, or another process is this server; 5 the data folder;
7 the fleet refuses it; 130 stopped at once by a second Ctrl-C.
`;

/** `headwater file-server`. */
export function fileServerCommand(): Command {
  return new Command('file-server')
    .summary('run a file server of a fleet')
    .description("Stores chunks of a fleet's files, and serves folders' files in place.")
    .usage('--join URL[,URL...] [--folder DIR...] [options]')
    .addOption(
      repeatableOption('--folder <DIR>', 'folder to serve in place; again for more', anyText('a folder')),
    )
    .addOption(repeatableOption('--join <URL,...>', 'information servers of the fleet', urls))
    .addOption(
      option(
        '--join-token-file <FILE>',
        'file with the join token (default: HEADWATER_JOIN_TOKEN)',
        anyText('a file'),
      ),
    )
    .addOption(
      option(
        '--name <NAME>',
        "its name in the fleet (default: this machine's)",
        fitting(ServerName, 'letters, digits, ".", "_" and "-", at most 63'),
      ),
    )
    .addOption(
      option(
        '--zone <ZONE>',
        'where it is: clients of the same zone ask it first',
        fitting(Zone, 'lower-case letters, digits and dashes, at most 63'),
      ).default('default'),
    )
    .addOption(
      option(
        '-p, --port <PORT>',
        `port to listen on, 0 for any free one (default: the one of the last time, or the first free one from ${FIRST_PORT})`,
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
        'where clients reach it, where that is not what it listens on',
        anyText('a URL'),
      ),
    )
    .addOption(
      option(
        '--capacity <SIZE>',
        'bytes that its chunk store may fill, such as 500G, 0 for none (default: what is free, but the reserve)',
        byteCountOrNone,
      ),
    )
    .addOption(
      option(
        '--reserve <SIZE>',
        'bytes of the disk that its chunk store leaves free (default: 1G, or 5 % of a small disk)',
        byteCountOrNone,
      ),
    )
    .addOption(
      option(
        '--scrub-interval <TIME>',
        'every stored chunk is read again within this (default: 14d); "never" for not at all',
        duration,
      ),
    )
    .addOption(
      option(
        '--copy-rate <RATE>',
        'most bytes a second that it copies from other servers (default: 64M)',
        rate,
      ),
    )
    .addOption(option('--limit <RATE>', 'most bytes a second that it sends, such as 20M', rate))
    .addOption(
      option(
        '--data <DIR>',
        "folder of its own (default: by its name, in the user's data folder)",
        anyText('a folder'),
      ),
    )
    .addOption(option('-i, --interval <SECONDS>', 'time between lines of status', interval).default(1))
    .addOption(option('--tls-cert <FILE>', 'certificate chain (PEM) for https', anyText('a PEM file')))
    .addOption(option('--tls-key <FILE>', 'the private key (PEM) of --tls-cert', anyText('a PEM file')))
    .addOption(
      new Option('--log <LEVEL>', 'write requests and faults as JSON lines to standard error').choices(
        LOG_LEVELS,
      ),
    )
    .addOption(new Option('--json', 'print events, one JSON object a line'))
    .helpOption('-h, --help', 'print this help')
    .addHelpText('after', EXAMPLES)
    .action(async (raw: RawFileServerOptions) => {
      const { stdin, stdout, stderr, env } = process;
      await runFileServer(readFileServerRequest(raw, env), { stdin, stdout, stderr });
    });
}
