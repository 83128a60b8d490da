import { readFileSync } from 'node:fs';

import { Argument, Command, Option } from 'commander';

import type { LoginAnswer } from '../core/api/accounts.ts';
import { HeadwaterError } from '../core/errors.ts';
import { FleetClient } from '../client/fleet/fleet-client.ts';
import { logIn } from '../client/fleet/fleet.ts';
import { answerTo, password, type Questioner } from './fleet/ask.ts';
import { credentialsPath, writeCredentials } from './fleet/credentials.ts';
import { say, type Said } from './fleet/said.ts';
import { listenForInterrupts } from './interrupt.ts';
import { option } from './option.ts';
import { anyText } from './option-kinds.ts';
import { moment } from './print/moments.ts';

interface LoginOptions extends Said {
  readonly email?: string;
  readonly passwordFile?: string;
  readonly ca?: string;
}

const EXAMPLES = `
Examples:
  headwater login https://fleet.example
  headwater login http://127.0.0.1:8080 --email ada@example.org --password-file secret.txt

The password is asked for at the terminal, or read from a file; never taken from the command line, where others see it.
What the login gives is kept in ~/.config/headwater (or $XDG_CONFIG_HOME/headwater, or the folder HEADWATER_CONFIG names),
readable by you alone. HEADWATER_URL and HEADWATER_TOKEN (a session's token, or an API key) take its place where set.
`;

/** `headwater login`. */
export function loginCommand(): Command {
  return new Command('login')
    .summary('log in to a fleet')
    .description('Logs in to a fleet, for the commands that call it.')
    .usage('URL [options]')
    .addArgument(new Argument('<URL>', "address of any of the fleet's information servers"))
    .addOption(option('--email <EMAIL>', 'the account (default: asked for)', anyText('an email')))
    .addOption(
      option(
        '--password-file <FILE>',
        'file with the password, "-" for standard input (default: asked for)',
        anyText('a file, or "-"'),
      ),
    )
    .addOption(
      option(
        '--ca <FILE>',
        "trust the authorities in this PEM file for the fleet's servers",
        anyText('a PEM file'),
      ),
    )
    .addOption(new Option('--json', 'print one JSON object'))
    .helpOption('-h, --help', 'print this help')
    .addHelpText('after', EXAMPLES)
    .action(async (url: string, options: LoginOptions) => login(url, options));
}

async function login(url: string, options: LoginOptions): Promise<void> {
  const at: Questioner = process;
  const ca = options.ca === undefined ? undefined : pem(options.ca);
  // Where nothing answers, the address is more likely wrong than the fleet away.
  const client = new FleetClient({ addresses: [url], patience: 0, ...(ca !== undefined && { tls: { ca } }) });
  try {
    const [first = url] = client.addresses;
    const email =
      options.email ??
      (await answerTo('Email', 'standard input is no terminal to ask at: --email says who logs in', at));
    const secret = await password(`Password of ${email} at ${new URL(first).host}`, options.passwordFile, at);
    const { user, expiresAt } = await logInAndKeep(client, email, secret, ca);
    const address = client.addresses[0] ?? url;
    say(
      options,
      { event: 'login', url: address, user, expiresAt, credentials: credentialsPath(process.env) },
      `Logged in to ${address} as ${user.email} (${user.role}), until ${moment(expiresAt)}.`,
    );
  } finally {
    await client.close();
  }
}

async function logInAndKeep(
  client: FleetClient,
  email: string,
  secret: string,
  ca: string | undefined,
): Promise<LoginAnswer> {
  using interrupts = listenForInterrupts();
  const { signal } = interrupts;
  const answer = await logIn(client, { email, password: secret }, signal);
  client.token = answer.token;
  await client.learnOthers(signal);
  const { token, expiresAt, user } = answer;
  await writeCredentials(process.env, {
    addresses: client.addresses,
    token,
    email: user.email,
    expiresAt,
    ...(ca !== undefined && { ca }),
  });
  return answer;
}

function pem(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const why = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
    throw new HeadwaterError(
      'HW_USAGE',
      `--ca takes a PEM file; ${JSON.stringify(path)} cannot be read (${why})`,
      {
        cause,
      },
    );
  }
}
