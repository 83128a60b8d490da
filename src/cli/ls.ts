import { Argument, Command, Option } from 'commander';

import type { FileEntry } from '../core/api/files.ts';
import { pagesOf } from '../client/fleet/pages.ts';
import { sayEach, sayLines, type Said } from './fleet/said.ts';
import { withFleet } from './fleet/with-fleet.ts';
import { option } from './option.ts';
import { wholeNumber } from './option-kinds.ts';
import { count, size } from './print/amounts.ts';
import { moment } from './print/moments.ts';
import { tableLines, type TableColumn } from './print/table.ts';

const SORTS = ['name', '-name', 'size', '-size', 'createdAt', '-createdAt'] as const;
/** Files laid out as one table: what a person looks at at once, and does not wait for. */
const TABLE = 500;
/** Most files that can be asked for. */
const MOST_FILES = 1_000_000_000;

interface LsOptions extends Said {
  readonly sort: (typeof SORTS)[number];
  readonly limit?: number;
}

const COLUMNS: readonly TableColumn<FileEntry>[] = [
  { heading: 'size', cell: (file) => size(file.size), align: 'right' },
  { heading: 'since', cell: ({ createdAt }) => moment(createdAt) },
  { heading: 'servers', cell: ({ holders }) => String(holders), align: 'right' },
  { heading: 'name', cell: ({ name }) => name },
];

/** `headwater ls`. */
export function lsCommand(): Command {
  return new Command('ls')
    .summary('list the files of a fleet')
    .description('Lists the files of the fleet that you may see.')
    .usage('[SEARCH] [options]')
    .addArgument(new Argument('[SEARCH]', 'part of the name, in any case'))
    .addOption(
      new Option('--sort <FIELD>', 'a minus before it turns the order round').choices(SORTS).default('name'),
    )
    .addOption(option('--limit <N>', 'most files to list (default: all)', wholeNumber(1, MOST_FILES)))
    .addOption(new Option('--json', 'print one JSON object a line'))
    .helpOption('-h, --help', 'print this help')
    .action(async (search: string | undefined, options: LsOptions) => {
      await withFleet(async ({ client, signal }) => {
        const { sort, limit } = options;
        const files = pagesOf<FileEntry>(client, 'v1/files', { search, sort }, { limit, signal });
        if (options.json === true) for await (const file of files) sayEach([file]);
        else await table(files);
      });
    });
}

async function table(files: AsyncIterable<FileEntry>): Promise<void> {
  let shown: FileEntry[] = [];
  let number = 0;
  let bytes = 0;
  const flush = (): void => {
    const lines = tableLines(shown, COLUMNS, process.stdout);
    // One heading, however long the list.
    sayLines(number > shown.length ? lines.slice(1) : lines);
    shown = [];
  };
  for await (const file of files) {
    shown.push(file);
    number++;
    bytes += file.size;
    if (shown.length === TABLE) flush();
  }
  if (shown.length > 0) flush();
  process.stderr.write(number === 0 ? 'No files.\n' : `${count(number, 'file')}, ${size(bytes)}.\n`);
}
