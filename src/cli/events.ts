import { Command, Option } from 'commander';

import type { FleetEvent } from '../core/api/events.ts';
import { follow, happened } from '../client/fleet/follow.ts';
import { sayEach, sayLines, type Said } from './fleet/said.ts';
import { withFleet } from './fleet/with-fleet.ts';
import { option } from './option.ts';
import { wholeNumber } from './option-kinds.ts';
import { eventSentence } from './print/event-sentence.ts';

/** Events that are told when nobody says from where: a few screens. */
const NEWEST = 100;

interface EventsOptions extends Said {
  readonly follow?: true;
  readonly after?: number;
}

const EXAMPLES = `
Examples:
  headwater events
  headwater events --follow
  headwater events --follow --after 1200 --json

Every event has a position, which only grows: --after goes on where a program stopped.
`;

/** `headwater events`. */
export function eventsCommand(): Command {
  return new Command('events')
    .summary('what happens in a fleet')
    .description(
      'Tells what has happened in the fleet: servers, downloads, files; and goes on telling, if asked to.',
    )
    .option('-f, --follow', 'go on as things happen, until Ctrl-C')
    .addOption(
      option(
        '--after <POSITION>',
        'those after this one (default: the newest 100; with --follow: from now on)',
        wholeNumber(0, Number.MAX_SAFE_INTEGER, 'a position'),
      ),
    )
    .addOption(new Option('--json', 'print one JSON object a line'))
    .helpOption('-h, --help', 'print this help')
    .addHelpText('after', EXAMPLES)
    .action(async (options: EventsOptions) => {
      await withFleet(async ({ client, signal }) => {
        const print = (event: FleetEvent): void =>
          options.json === true ? sayEach([event]) : sayLines([eventSentence(event)]);
        const { after } = options;
        const all =
          options.follow === true
            ? follow(client, { after, signal })
            : happened(client, { after, signal, most: NEWEST });
        for await (const event of all) print(event);
      });
    });
}
