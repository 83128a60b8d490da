import { Argument, Command, Option } from 'commander';

import type { FileDetails } from '../core/api/files.ts';
import { fileNamed } from '../client/fleet/file-named.ts';
import { sayEach, sayLines, type Said } from './fleet/said.ts';
import { withFleet } from './fleet/with-fleet.ts';
import { count, size } from './print/amounts.ts';
import { moment } from './print/moments.ts';
import { oneLine } from './print/plain-text.ts';
import { tableLines, type TableColumn } from './print/table.ts';

type Holder = FileDetails['servers'][number];

/** `headwater info`. */
export function infoCommand(): Command {
  return new Command('info')
    .summary('tell all about one file of a fleet')
    .description('Tells all about one file of the fleet, and which servers hold it.')
    .usage('NAME|ID [options]')
    .addArgument(new Argument('<NAME|ID>', "the file's name in the fleet, or its id"))
    .addOption(new Option('--json', 'print one JSON object'))
    .helpOption('-h, --help', 'print this help')
    .action(async (nameOrId: string, { json }: Said) => {
      await withFleet(async ({ client, signal }) => {
        const file = await fileNamed<FileDetails>(client, nameOrId, signal);
        if (json === true) sayEach([file]);
        else sayLines(details(file));
      });
    });
}

function details(file: FileDetails): string[] {
  const { visibility } = file;
  const facts: readonly (readonly [string, string])[] = [
    ['name', file.name],
    ['id', file.id],
    ['size', `${size(file.size)} (${count(file.size, 'byte')})`],
    ['chunks', `${file.chunks.toLocaleString('en')} of ${size(file.chunkSize)}`],
    ...copiesOf(file),
    ['sha256', file.sha256],
    ['manifest', file.manifestSha256],
    ['since', moment(file.createdAt)],
    ['owner', file.owner ?? 'none: file servers brought it'],
    [
      'seen by',
      visibility === 'everyone' ? 'everyone who is logged in' : visibility.users.join(', ') || 'its owner',
    ],
  ];
  const width = Math.max(...facts.map(([name]) => name.length));
  return [
    ...facts.map(([name, value]) => oneLine(`${name.padEnd(width)}  ${value}`)),
    '',
    ...(file.servers.length === 0
      ? ['No server holds it now.']
      : tableLines(file.servers, columns(file.chunks), process.stdout)),
  ];
}

/** Of what file servers serve in place no copies are wanted. */
function copiesOf({ replicas: { wanted, least, most } }: FileDetails): [string, string][] {
  if (wanted === null) return [];
  if (least >= wanted) return [['copies', `${wanted} of every chunk`]];
  const there = least === most ? `${least}` : `${least} to ${most}`;
  return [['copies', `${there} where ${wanted} are wanted`]];
}

function columns(chunks: number): readonly TableColumn<Holder>[] {
  return [
    { heading: 'server', cell: ({ name }) => name },
    { heading: 'zone', cell: ({ zone }) => zone },
    { heading: 'state', cell: ({ state }) => state },
    { heading: 'holds', cell: ({ has }) => share(has, chunks) },
  ];
}

function share(has: Holder['has'], chunks: number): string {
  if (has === 'all') return 'all of it';
  const held = has.reduce((sum, [first, last]) => sum + last - first + 1, 0);
  return `${held.toLocaleString('en')} of ${count(chunks, 'chunk')}`;
}
