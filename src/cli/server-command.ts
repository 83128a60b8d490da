import { Argument, Command, Option } from 'commander';

import type { ServerEntry } from '../core/api/servers.ts';
import { say, type Said } from './fleet/said.ts';
import { withFleet } from './fleet/with-fleet.ts';

type Verb = 'pause' | 'resume' | 'drain' | 'stop';

const ABOUT: Readonly<Record<Verb, { summary: string; description: string; next: string }>> = {
  pause: {
    summary: 'have file servers of a fleet send nothing',
    description:
      'Pauses file servers: connections stay, no byte moves, nothing new is taken, until they are resumed.',
    next: 'is to be paused',
  },
  resume: {
    summary: 'have paused or drained file servers go on',
    description: 'Resumes file servers that were paused or drained.',
    next: 'is to run',
  },
  drain: {
    summary: 'have file servers finish what is under way',
    description:
      'Drains file servers: they finish what is under way and take nothing new, until they are resumed.',
    next: 'is to be drained',
  },
  stop: {
    summary: 'end file servers of a fleet',
    description: 'Ends file servers: they finish what is under way for a while, and their process ends.',
    next: 'is to stop',
  },
};

/** `headwater pause`, `resume`, `drain` and `stop`. */
export function serverCommand(verb: Verb): Command {
  const { summary, description, next } = ABOUT[verb];
  return new Command(verb)
    .summary(summary)
    .description(description)
    .usage('SERVER... [options]')
    .addArgument(new Argument('<SERVER...>', 'names of file servers, or ids'))
    .addOption(new Option('--json', 'print one JSON object for each server'))
    .helpOption('-h, --help', 'print this help')
    .action(async (names: string[], options: Said) => {
      await withFleet(async ({ client, signal }) => {
        for (const each of names) {
          const path = `v1/servers/${encodeURIComponent(each)}/${verb}`;
          const server = await client.ask<ServerEntry>('POST', path, { signal, repeatable: true });
          const now = server.state === server.wanted ? `is ${server.state}` : next;
          say(options, server, `${server.name} ${now}.`);
        }
      });
    });
}
