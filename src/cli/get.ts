import { createWriteStream, existsSync, fstatSync } from 'node:fs';
import type { Writable } from 'node:stream';

import { Argument, Command, Option } from 'commander';

import { EXIT } from '../core/errors.ts';
import { FIRST_PORT } from '../file-server/limits.ts';
import { looksLoggedIn } from './fleet/credentials.ts';
import { type RawGetOptions, readGetRequest } from './get-request.ts';
import { listenForInterrupts } from './interrupt.ts';
import { option, repeatableOption } from './option.ts';
import {
  anyText,
  duration,
  header,
  hosts,
  interval,
  ports,
  rateFrom,
  sha256,
  wholeNumber,
} from './option-kinds.ts';
import type { loadFleetDownload as FleetDownload } from './fleet/fleet-download.ts';
import { type Download, runGet } from './run-get.ts';

/** Fewest bytes a second that a download can be limited to. */
const LEAST_LIMIT = 1024;
/** Most connections to one source that can be asked for. */
const MOST_CONNECTIONS = 64;

const EXAMPLES = `
Examples:
  headwater get http://a.example/big.iso http://b.example/big.iso
  headwater get https://a.example/big.iso https://b.example/big.iso -o ~/Downloads/ --sha256 9f86d0…
  headwater get big.iso -a 192.0.2.7 -p 8080,8081,8082,8083
  headwater get http://a.example/src.tar http://b.example/src.tar -o - | tar x
  headwater login https://fleet.example && headwater get big.iso

With --address every host is asked on every port, so two hosts and two ports are four sources; a host with a port
of its own, such as a.example:8080, is asked on that one alone. Sources that do not answer do no harm.

Exit statuses: 0 done; 2 usage; 3 not found anywhere; 4 verification failed or the sources disagree; 5 local disk;
6 sources lost; 7 not allowed; 130 interrupted; 141 nobody reads the output.
`;

async function loadDownload(): Promise<Download> {
  return (await import('../client/download.ts')).download;
}

async function loadFleetDownload(...args: Parameters<typeof FleetDownload>): Promise<Download> {
  return (await import('./fleet/fleet-download.ts')).loadFleetDownload(...args);
}

/**
 * Who reads from a pipe, a socket or a terminal may be slow, and Node waits for him aside. To anything else, a file or
 * a device, it would write on the main thread, and keep nobody's memory for it to be used again.
 */
function openOutput(): Writable {
  const output = fstatSync(1);
  const read = output.isFIFO() || output.isSocket() || process.stdout.isTTY;
  return read ? process.stdout : createWriteStream('', { fd: 1, autoClose: false });
}

/** `headwater get`. */
export function getCommand(load: () => Promise<Download> = loadDownload): Command {
  return new Command('get')
    .summary('download one file from many servers at once')
    .description('Downloads one file from all the given servers at once, and verifies it.')
    .usage(
      'SOURCE... [options]\n       headwater get NAME -a HOST[,HOST...] -p PORT[,PORT...] [options]\n       headwater get NAME|ID [options]     (logged in to a fleet)',
    )
    .addArgument(
      new Argument(
        '[SOURCE...]',
        'URLs of the same file; its NAME, with --address; its NAME or ID in a fleet',
      ),
    )
    .addOption(option('-a, --address <HOST,...>', 'hosts that have NAME', hosts))
    .addOption(option('-p, --port <PORT,...>', `ports of these hosts (default: ${FIRST_PORT})`, ports(1)))
    .addOption(
      option(
        '-o, --output <PATH>',
        'file or folder to write to; "-" is standard output (default: here, named like the source)',
        anyText('a file, a folder, or "-" for standard output'),
      ),
    )
    .addOption(option('--sha256 <HEX>', "the whole file's SHA-256, if known", sha256))
    .addOption(
      option(
        '--manifest <URL|FILE>',
        'chunk digests, if the sources do not offer them themselves',
        anyText('a URL or a file'),
      ),
    )
    .addOption(
      option('-i, --interval <SECONDS>', 'time between reports where there is no terminal', interval).default(
        1,
      ),
    )
    .addOption(new Option('--json', 'print events, one JSON object a line').conflicts('quiet'))
    .option('-q, --quiet', 'print nothing but errors')
    .addOption(
      option(
        '-c, --connections <N>',
        'most connections to one source (default: found out, at most 16)',
        wholeNumber(1, MOST_CONNECTIONS),
      ),
    )
    .addOption(
      option('--limit <RATE>', 'most bytes a second over all sources, such as 20M', rateFrom(LEAST_LIMIT)),
    )
    .addOption(
      option(
        '--timeout <DURATION>',
        'give up when no source has sent anything for this long; "never" waits for servers that are not up yet ' +
          '(default: 1m before the first byte, never after it)',
        duration,
      ),
    )
    .addOption(
      repeatableOption("--header <'Name: value'>", 'send this with every request; repeatable', header),
    )
    .addOption(option('--ca <FILE>', 'trust the authorities in this PEM file too', anyText('a PEM file')))
    .addOption(option('--cert <FILE>', 'show this certificate (PEM) to servers', anyText('a PEM file')))
    .addOption(option('--key <FILE>', 'the private key (PEM) of --cert', anyText('a PEM file')))
    .option('--insecure', 'accept any certificate')
    .option('--no-resume', 'begin anew, whatever an earlier run has left')
    .option('--force', 'replace an output that exists, and a part file that does not fit')
    .addOption(
      option('--zone <ZONE>', 'where you are: servers of a fleet there are asked first', anyText('a zone')),
    )
    .addOption(option('--report <FILE>', 'write the final report as JSON', anyText('a file')))
    .helpOption('-h, --help', 'print this help')
    .addHelpText('after', EXAMPLES)
    .action(async (words: string[], raw: RawGetOptions) => {
      const request = readGetRequest(words, raw, () => looksLoggedIn(process.env, existsSync));
      const { file, zone, download } = request;
      const loadOne = file === undefined ? load : () => loadFleetDownload(file, zone, download.tls ?? {});
      using interrupts = listenForInterrupts();
      const status = await runGet(request, loadOne, {
        stdout: process.stdout,
        stderr: process.stderr,
        openOutput,
        interrupts,
        argv: process.argv.slice(2),
      });
      process.exitCode = status;
      // What a reader that has stopped reading still has to take would keep the process alive.
      if (status !== EXIT.done && request.output === '-') process.exit();
    });
}
