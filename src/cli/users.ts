import { Argument, Command, Option } from 'commander';

import type { Role, User } from '../core/api/accounts.ts';
import { HeadwaterError } from '../core/errors.ts';
import { pagesOf } from '../client/fleet/pages.ts';
import { newPassword, type Questioner } from './fleet/ask.ts';
import { say, sayEach, sayLines, type Said } from './fleet/said.ts';
import { withFleet } from './fleet/with-fleet.ts';
import { option } from './option.ts';
import { anyText } from './option-kinds.ts';
import { secretVariable } from './secret-variable.ts';
import { moment } from './print/moments.ts';
import { tableLines, type TableColumn } from './print/table.ts';

const ROLES = ['reader', 'publisher', 'admin'] as const;

const EXAMPLES = `
Examples:
  headwater users add ada@example.org --role publisher
  headwater users role ada@example.org admin
  headwater users password ada@example.org --password-file secret.txt

The first admin of a fleet is made where an information server runs, which needs no login:
  headwater users add ada@example.org --role admin --data /var/lib/headwater
  headwater users add ada@example.org --role admin --database postgres://fleet@db.example/fleet
or into the database that HEADWATER_DATABASE_URL names, or the file in HEADWATER_DATABASE_URL_FILE: where the address has a
password, others see it on the command line.

Roles: a reader lists and downloads, a publisher also publishes, and renames and deletes their own, an admin does everything.
Passwords are asked for at the terminal, or read from a file; never taken from the command line, where others see them.
`;

interface PasswordOptions extends Said {
  readonly passwordFile?: string;
}
interface AddOptions extends PasswordOptions {
  readonly role: Role;
  readonly data?: string;
  readonly database?: string;
}

/** `headwater users`. */
export function usersCommand(): Command {
  const users = new Command('users')
    .summary('accounts of a fleet')
    .description("Lists, makes and changes the fleet's accounts (admins).")
    .helpOption('-h, --help', 'print this help')
    .addHelpText('after', EXAMPLES);
  users.addCommand(
    said(new Command('list').description('lists the accounts'), 'print one JSON object a line').action(list),
    { isDefault: true },
  );
  users.addCommand(
    said(
      withPassword(new Command('add').description('makes an account').addArgument(email()))
        .addOption(new Option('--role <ROLE>', 'what it may do').choices(ROLES).default('reader'))
        .addOption(
          option(
            '--data <DIR>',
            'write it into the database in this data folder of an information server, without a login',
            anyText('a folder'),
          ),
        )
        .addOption(
          option(
            '--database <URL>',
            'or into this PostgreSQL database (default: HEADWATER_DATABASE_URL, where it is set)',
            anyText('an address'),
          ),
        ),
    ).action(add),
  );
  users.addCommand(
    said(
      new Command('role')
        .description('changes what an account may do')
        .addArgument(email())
        .addArgument(new Argument('<ROLE>', 'its new role').choices(ROLES)),
    ).action((who: string, role: Role, options: Said) => change(who, { role }, options, `is ${role} now`)),
  );
  users.addCommand(
    said(
      new Command('disable').description('lets an account do nothing any more').addArgument(email()),
    ).action((who: string, options: Said) => change(who, { disabled: true }, options, 'is disabled')),
  );
  users.addCommand(
    said(new Command('enable').description('takes "disable" back').addArgument(email())).action(
      (who: string, options: Said) => change(who, { disabled: false }, options, 'is enabled'),
    ),
  );
  users.addCommand(
    said(
      withPassword(
        new Command('password').description('sets the password of an account').addArgument(email()),
      ),
    ).action(async (who: string, { passwordFile, ...options }: PasswordOptions) => {
      const at: Questioner = process;
      const password = await newPassword(`New password of ${who}`, passwordFile, at);
      await change(who, { password }, options, 'has the new password');
    }),
  );
  return users;
}

function email(): Argument {
  return new Argument('<EMAIL>', 'email of the account');
}

function said(command: Command, what = 'print one JSON object'): Command {
  return command.addOption(new Option('--json', what)).helpOption('-h, --help', 'print this help');
}

function withPassword(command: Command): Command {
  return command.addOption(
    option(
      '--password-file <FILE>',
      'file with the password, "-" for standard input (default: asked for)',
      anyText('a file, or "-"'),
    ),
  );
}

const COLUMNS: readonly TableColumn<User>[] = [
  { heading: 'email', cell: ({ email }) => email },
  { heading: 'role', cell: ({ role }) => role },
  { heading: 'state', cell: ({ disabled }) => (disabled ? 'disabled' : 'enabled') },
  { heading: 'since', cell: ({ createdAt }) => moment(createdAt) },
];

async function list(options: Said): Promise<void> {
  await withFleet(async ({ client, signal }) => {
    const users: User[] = [];
    for await (const user of pagesOf<User>(client, 'v1/users', {}, { signal })) users.push(user);
    if (options.json === true) sayEach(users);
    else sayLines(tableLines(users, COLUMNS, process.stdout));
  });
}

async function add(who: string, options: AddOptions): Promise<void> {
  const { role, passwordFile, data } = options;
  if (data !== undefined && options.database !== undefined) {
    throw new HeadwaterError('HW_USAGE', '--data and --database name the same thing: one of them');
  }
  const database =
    options.database ??
    (data === undefined ? secretVariable(process.env, 'HEADWATER_DATABASE_URL') : undefined);
  const at: Questioner = process;
  if (data === undefined && database === undefined) {
    await withFleet(async ({ client, signal }) => {
      const password = await newPassword(`Password of ${who}`, passwordFile, at);
      const user = await client.ask<User>('POST', 'v1/users', {
        body: { email: who, password, role },
        signal,
      });
      tellAdded(options, user);
    });
    return;
  }
  const password = await newPassword(`Password of ${who}`, passwordFile, at);
  // What an information server is made of is loaded only here.
  const { addUserHere } = await import('./fleet/local-users.ts');
  tellAdded(options, await addUserHere({ data, database }, { email: who, password, role }));
}

function tellAdded(options: Said, user: User): void {
  say(options, user, `${user.email} is ${user.role === 'admin' ? 'an' : 'a'} ${user.role}.`);
}

async function change(who: string, body: object, options: Said, then: string): Promise<void> {
  await withFleet(async ({ client, signal }) => {
    const user = await client.ask<User>('PATCH', `v1/users/${encodeURIComponent(who)}`, { body, signal });
    say(options, user, `${user.email} ${then}.`);
  });
}
