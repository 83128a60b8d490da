import { Argument, Command, Option } from 'commander';

import type { ApiKey, NewApiKey } from '../core/api/accounts.ts';
import { HeadwaterError } from '../core/errors.ts';
import { pagesOf } from '../client/fleet/pages.ts';
import { say, sayEach, sayLines, type Said } from './fleet/said.ts';
import { withFleet } from './fleet/with-fleet.ts';
import { option } from './option.ts';
import { duration } from './option-kinds.ts';
import { ago, moment } from './print/moments.ts';
import { tableLines, type TableColumn } from './print/table.ts';

/** As ids of keys are: a UUID. */
const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

const EXAMPLES = `
Examples:
  headwater keys create backup-job --expires 90d
  HEADWATER_URL=https://fleet.example HEADWATER_TOKEN=KEY headwater ls

An API key stands for its account, where a program logs in. It is shown once, when it is made.
"rotate" is about the fleet's own keys, which grants are signed with: it makes a new one (admins).
`;

interface CreateOptions extends Said {
  readonly expires?: number;
}

/** `headwater keys`. */
export function keysCommand(): Command {
  const keys = new Command('keys')
    .summary('API keys of your account; the signing keys of a fleet')
    .description("Lists, makes and revokes your account's API keys, and rotates the fleet's signing keys.")
    .helpOption('-h, --help', 'print this help')
    .addHelpText('after', EXAMPLES);
  keys.addCommand(
    json(new Command('list').description('lists your API keys'), 'print one JSON object a line').action(list),
    { isDefault: true },
  );
  keys.addCommand(
    json(
      new Command('create')
        .description('makes an API key, and shows it once')
        .addArgument(new Argument('<NAME>', 'what it is for'))
        .addOption(
          option(
            '--expires <DURATION>',
            'how long it is good, such as 90d (default: until revoked)',
            duration,
          ),
        ),
    ).action(create),
  );
  keys.addCommand(
    json(
      new Command('revoke')
        .description('revokes an API key')
        .addArgument(new Argument('<ID|NAME>', 'its id, or its name where one key has it')),
    ).action(revoke),
  );
  keys.addCommand(
    json(new Command('rotate').description("makes a new signing key of the fleet's")).action(rotate),
  );
  return keys;
}

function json(command: Command, what = 'print one JSON object'): Command {
  return command.addOption(new Option('--json', what)).helpOption('-h, --help', 'print this help');
}

const COLUMNS: readonly TableColumn<ApiKey>[] = [
  { heading: 'name', cell: ({ name }) => name },
  { heading: 'begins', cell: ({ start }) => `${start}…` },
  { heading: 'made', cell: ({ createdAt }) => moment(createdAt) },
  { heading: 'ends', cell: ({ expiresAt }) => (expiresAt === null ? 'never' : moment(expiresAt)) },
  {
    heading: 'used',
    cell: ({ lastUsedAt }) => (lastUsedAt === null ? 'never' : ago(lastUsedAt, Date.now())),
  },
  { heading: 'id', cell: ({ id }) => id },
];

async function list(options: Said): Promise<void> {
  await withFleet(async (calling) => {
    const keys = await all(calling);
    if (options.json === true) sayEach(keys);
    else sayLines(keys.length === 0 ? ['No API keys.'] : tableLines(keys, COLUMNS, process.stdout));
  });
}

async function create(name: string, { expires = Infinity, ...options }: CreateOptions): Promise<void> {
  await withFleet(async ({ client, signal }) => {
    const expiresAt = Number.isFinite(expires)
      ? new Date(Date.now() + expires * 1000).toISOString()
      : undefined;
    const body = { name, ...(expiresAt !== undefined && { expiresAt }) };
    const made = await client.ask<NewApiKey>('POST', 'v1/api-keys', { body, signal });
    if (options.json === true) return sayEach([made]);
    process.stderr.write('The key, shown this once:\n');
    sayLines([made.key]);
  });
}

async function revoke(idOrName: string, options: Said): Promise<void> {
  await withFleet(async (calling) => {
    const keys = await all(calling);
    const id = idOf(keys, idOrName);
    const { client, signal } = calling;
    await client.ask('DELETE', `v1/api-keys/${encodeURIComponent(id)}`, { signal });
    say(options, { event: 'revoked', id }, `The API key ${idOrName} is revoked.`);
  });
}

/**
 * An admin can name another's key by its id, which is not among these.
 *
 * @throws HeadwaterError `HW_NOT_FOUND`, `HW_USAGE` (several have the name)
 */
function idOf(keys: readonly ApiKey[], idOrName: string): string {
  if (ID.test(idOrName)) return idOrName;
  const [first, ...others] = keys.filter(({ name }) => name === idOrName);
  if (first === undefined) throw new HeadwaterError('HW_NOT_FOUND', `you have no API key ${idOrName}`);
  if (others.length === 0) return first.id;
  const said = `${others.length + 1} of your API keys are called ${idOrName}: name one by its id`;
  throw new HeadwaterError('HW_USAGE', said);
}

async function rotate(options: Said): Promise<void> {
  await withFleet(async ({ client, signal }) => {
    const { kid, activeFrom } = await client.ask<{ kid: string; activeFrom: string }>(
      'POST',
      'v1/keys/rotate',
      {
        signal,
      },
    );
    say(
      options,
      { event: 'rotated', kid, activeFrom },
      `The new key ${kid} signs from ${moment(activeFrom)} on.`,
    );
  });
}

async function all({ client, signal }: Parameters<Parameters<typeof withFleet>[0]>[0]): Promise<ApiKey[]> {
  const keys: ApiKey[] = [];
  for await (const key of pagesOf<ApiKey>(client, 'v1/api-keys', {}, { signal })) keys.push(key);
  return keys;
}
