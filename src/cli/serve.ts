import { Argument, Command, Option } from 'commander';

import { FIRST_PORT, MOST_SERVERS } from '../file-server/limits.ts';
import { option } from './option.ts';
import { anyText, interval, ports, rate, wholeNumber } from './option-kinds.ts';
import { runServe } from './run-serve.ts';
import { LOG_LEVELS, readServeRequest, type RawServeOptions } from './serve-request.ts';

const EXAMPLES = `
Examples:
  headwater serve big.iso
  headwater serve ./files -n 4 -p 8080
  headwater serve big.iso small.iso -p 8443 --tls-cert cert.pem --tls-key key.pem
  headwater serve big.iso -a 127.0.0.1 -p 0 --json

The operator's console, on standard input (a terminal or a pipe):
  1       pause 1     pauses server 1: connections stay, no byte moves, new requests get 503
  r1      resume 1    resumes it
  e1      end 1       ends it; again: at once
  s, or an empty line prints the table;  quit, q ends them all

K, M and G are powers of 1024. Files and folders are served in place, hidden ones not. Digests are computed once and
kept in the user's cache folder; a file is answered with 503 until its own are known.

Exit statuses: 0 ended; 2 usage, or a port that cannot be listened on; 130 stopped at once by a second Ctrl-C.
`;

/** `headwater serve`. */
export function serveCommand(): Command {
  return new Command('serve')
    .summary('hand out files from this machine')
    .description("Serves files, or folders' files, over HTTP, from one or more servers.")
    .usage('PATH... [options]')
    .addArgument(new Argument('<PATH...>', 'files and folders to serve'))
    .addOption(
      option(
        '-n, --count <COUNT>',
        'how many servers (default: one for each port, or 1)',
        wholeNumber(1, MOST_SERVERS),
      ),
    )
    .addOption(
      option(
        '-p, --port <PORT,...>',
        `their ports, 0 for any free one (default: ${FIRST_PORT} and the free ones above it)`,
        ports(0),
      ),
    )
    .addOption(
      option(
        '-a, --address <ADDRESS>',
        "address to listen on (default: all of this machine's)",
        anyText('an address or host name of this machine'),
      ),
    )
    .addOption(option('-i, --interval <SECONDS>', 'time between status tables', interval).default(1))
    .addOption(option('--limit <RATE>', 'most bytes a second that each server sends, such as 20M', rate))
    .addOption(option('--tls-cert <FILE>', 'certificate chain (PEM) for https', anyText('a PEM file')))
    .addOption(option('--tls-key <FILE>', 'the private key (PEM) of --tls-cert', anyText('a PEM file')))
    .addOption(
      option(
        '--control <PORT>',
        'offer the console by HTTP on this port, 0 for any free one; on loopback only unless there is a token',
        wholeNumber(0, 65_535, 'a port'),
      ),
    )
    .addOption(
      option(
        '--control-token-file <FILE>',
        'file with the token that --control asks for (default: HEADWATER_CONTROL_TOKEN)',
        anyText('a file'),
      ),
    )
    .addOption(
      new Option('--log <LEVEL>', 'write requests and faults as JSON lines to standard error').choices(
        LOG_LEVELS,
      ),
    )
    .addOption(new Option('--json', 'print events, one JSON object a line'))
    .helpOption('-h, --help', 'print this help')
    .addHelpText('after', EXAMPLES)
    .action(async (paths: string[], raw: RawServeOptions) => {
      const { stdin, stdout, stderr, env } = process;
      await runServe(readServeRequest(paths, raw, env), { stdin, stdout, stderr });
    });
}
