import { existsSync } from 'node:fs';

import type { Command, Option } from 'commander';

import type { FileList } from '../../core/api/files.ts';
import type { FleetClient } from '../../client/fleet/fleet-client.ts';
import { looksLoggedIn } from './credentials.ts';

/** Milliseconds that the fleet gets: a person is waiting with a finger on the key. */
const MOST_TIME = 1_000;
/** Candidates asked for: more than a person reads. */
const MOST_CANDIDATES = 200;

/** Commands whose arguments are names of things in the fleet; `first`: only the first of them. */
const NAMES: Readonly<Record<string, { of: 'files' | 'servers'; which: 'first' | 'all' }>> = {
  get: { of: 'files', which: 'first' },
  info: { of: 'files', which: 'first' },
  mv: { of: 'files', which: 'first' },
  rm: { of: 'files', which: 'all' },
  pause: { of: 'servers', which: 'all' },
  resume: { of: 'servers', which: 'all' },
  drain: { of: 'servers', which: 'all' },
  stop: { of: 'servers', which: 'all' },
};

/** What is known of the program, loaded as needed. */
export interface Commands {
  readonly names: readonly string[];
  load(name: string): Promise<Command | undefined>;
}

/**
 * What the word at the cursor can become.
 *
 * @param words those after the program's name, the last being the one at the cursor
 */
export async function candidates(words: readonly string[], commands: Commands): Promise<string[]> {
  const current = words.at(-1) ?? '';
  const before = words.slice(0, -1);
  const [name] = before;
  const fitting = (all: readonly string[]): string[] => all.filter((each) => each.startsWith(current));
  if (name === undefined) return fitting(commands.names);
  const top = await commands.load(name);
  if (top === undefined) return [];
  const sub = top.commands.find((each) => each.name() === before[1]);
  const command = sub ?? top;
  const owner = valueOf(before.at(-1), command);
  if (owner !== undefined) return fitting(owner.argChoices ?? []);
  if (current.startsWith('-')) {
    return fitting([...command.options.flatMap(({ long }) => (long === undefined ? [] : [long])), '--help']);
  }
  const at = positionOf(before.slice(sub === undefined ? 1 : 2), command);
  if (sub === undefined && top.commands.length > 0) {
    return at === 0 ? fitting(top.commands.map((each) => each.name())) : [];
  }
  const argument = command.registeredArguments[at] ?? command.registeredArguments.at(-1);
  if (argument?.argChoices !== undefined && at < command.registeredArguments.length) {
    return fitting(argument.argChoices);
  }
  const named = NAMES[name];
  if (named === undefined || (named.which === 'first' && at > 0) || /^https?:/i.test(current)) return [];
  return fitting(await namesInFleet(named.of, current));
}

/** Which argument the cursor is at: words that are options, or belong to one, are none. */
function positionOf(words: readonly string[], command: Command): number {
  return words.filter((word, at) => !word.startsWith('-') && valueOf(words[at - 1], command) === undefined)
    .length;
}

/** The option that takes the word after this one as its value. */
function valueOf(word: string | undefined, { options }: Command): Option | undefined {
  if (word === undefined) return undefined;
  return options.find(({ long, short, required }) => required && (long === word || short === word));
}

async function namesInFleet(of: 'files' | 'servers', search: string): Promise<string[]> {
  if (!looksLoggedIn(process.env, existsSync)) return [];
  const signal = AbortSignal.timeout(MOST_TIME);
  let client: FleetClient | undefined;
  try {
    const { openClient } = await import('./with-fleet.ts');
    client = await openClient({ patience: 0, warn: () => undefined });
    const query = { limit: MOST_CANDIDATES, ...(search !== '' && { search }) };
    const { items } = await client.ask<Pick<FileList, 'items'>>('GET', `v1/${of}`, { query, signal });
    return items.map(({ name }) => name);
  } catch {
    // Nobody reads an error in the middle of a command line.
    return [];
  } finally {
    await client?.close();
  }
}
