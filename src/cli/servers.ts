import { Argument, Command, Option } from 'commander';

import type { FleetServerState, ServerEntry } from '../core/api/servers.ts';
import { pagesOf } from '../client/fleet/pages.ts';
import { say, sayEach, sayLines, type Said } from './fleet/said.ts';
import { withFleet } from './fleet/with-fleet.ts';
import { count, rate, size } from './print/amounts.ts';
import { ago } from './print/moments.ts';
import { paintFor, type Style } from './print/paint.ts';
import { tableLines, type TableColumn } from './print/table.ts';

export const STATE_STYLE: Readonly<Record<FleetServerState, Style>> = {
  running: 'green',
  paused: 'yellow',
  draining: 'yellow',
  stopped: 'dim',
  suspected: 'yellow',
  dead: 'red',
};

/** `headwater servers`, and `headwater servers forget`. */
export function serversCommand(): Command {
  const servers = new Command('servers')
    .summary('list the file servers of a fleet')
    .description("Lists the fleet's file servers: what they do, and how much.")
    .addOption(new Option('--json', 'print one JSON object a line'))
    .helpOption('-h, --help', 'print this help')
    .action(async (options: Said) => {
      await withFleet(async ({ client, signal }) => {
        const servers: ServerEntry[] = [];
        for await (const each of pagesOf<ServerEntry>(client, 'v1/servers', {}, { signal }))
          servers.push(each);
        if (options.json === true) return sayEach(servers);
        if (servers.length === 0) return sayLines(['No file server has joined.']);
        sayLines(tableLines(servers, columns(), process.stdout));
        const running = servers.filter(({ state }) => state === 'running').length;
        process.stderr.write(`${count(servers.length, 'server')}, ${running} running.\n`);
      });
    });
  servers.addCommand(
    new Command('forget')
      .description('forgets file servers that are dead or have stopped, and what they held (admins)')
      .addArgument(new Argument('<SERVER...>', 'names of file servers, or ids'))
      .addOption(new Option('--json', 'print one JSON object for each server'))
      .helpOption('-h, --help', 'print this help')
      .action(forget),
  );
  return servers;
}

async function forget(names: string[], _own: Said, command: Command): Promise<void> {
  // The list has the same option, and takes it for itself.
  const options = command.optsWithGlobals<Said>();
  await withFleet(async ({ client, signal }) => {
    for (const each of names) {
      const path = `v1/servers/${encodeURIComponent(each)}`;
      const { id, name } = await client.ask<ServerEntry>('GET', path, { signal });
      // By its id: another server may have taken the name meanwhile.
      await client.ask('DELETE', `v1/servers/${id}`, { signal });
      say(options, { event: 'forgotten', id, name }, `${name} is forgotten.`);
    }
  });
}

function columns(): readonly TableColumn<ServerEntry>[] {
  const paint = paintFor(process.stdout);
  const now = Date.now();
  return [
    { heading: 'server', cell: ({ name }) => name },
    { heading: 'zone', cell: ({ zone }) => zone },
    { heading: 'state', cell: stateOf, paint: (text, { state }) => paint(STATE_STYLE[state], text) },
    { heading: 'clients', cell: ({ clients }) => String(clients), align: 'right' },
    { heading: 'sent', cell: ({ bytesSent }) => size(bytesSent), align: 'right' },
    { heading: 'rate', cell: ({ rate: now }) => rate(now), align: 'right' },
    { heading: 'files', cell: ({ files }) => files.toLocaleString('en'), align: 'right' },
    { heading: 'free', cell: ({ free }) => (free === null ? '-' : size(free)), align: 'right' },
    { heading: 'heard of', cell: ({ lastSeenAt }) => ago(lastSeenAt, now) },
    { heading: 'address', cell: ({ url }) => url },
  ];
}

/** `running`, or `running, to be paused` while what an operator wants is on its way. */
function stateOf({ state, wanted }: ServerEntry): string {
  return state === wanted || state === 'suspected' || state === 'dead' ? state : `${state}, to be ${wanted}`;
}
