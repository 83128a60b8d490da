import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

interface Figure {
  readonly name: string;
  readonly kind: string;
  readonly help: string;
}

/** `kind('name', 'help'`, with single or double quotes, on one line or more; the help may have been named `help` before. */
const FIGURE = /\b(counter|gauge|histogram)\(\s*(['"])([a-z0-9_]+)\2,\s*(?:(['"])((?:(?!\4).)+)\4|help\b)/g;
const NAMED_HELP = /const help = (['"`])((?:(?!\1).)+)\1/g;
/** What file servers put before each of theirs. */
const FILE_SERVER_PREFIX = 'headwater_file_server_';

/** Every figure that a server shows at `/metrics`, a table for each kind of server, for docs/operations.md. */
export function metricTables(root: string): string {
  const of = (pattern: string, prefix: string): string => {
    const files = globSync(pattern, { cwd: root }).sort();
    const found = files.flatMap((file) => figuresIn(readFileSync(join(root, file), 'utf8'), prefix));
    const rows = found
      .sort((one, other) => (one.name < other.name ? -1 : 1))
      .map(({ name, kind, help }) => `| \`${name}\` | ${kind} | ${help.replaceAll('|', '\\|')} |`);
    return ['| name | kind | what it is |', '| --- | --- | --- |', ...rows].join('\n');
  };
  return [
    `### Information servers\n\n${of('src/{information-server,events}/**/*.ts', '')}`,
    `### File servers\n\n${of('src/file-server/fleet/*.ts', FILE_SERVER_PREFIX)}`,
  ].join('\n\n');
}

function figuresIn(text: string, prefix: string): Figure[] {
  return [...text.matchAll(FIGURE)].map((match) => {
    const [, kind = '', , name = '', , help = helpBefore(text, match.index)] = match;
    // Some are counted elsewhere, and only read here.
    return { name: prefix + name, kind: name.endsWith('_total') ? 'counter' : kind, help };
  });
}

function helpBefore(text: string, index: number): string {
  const named = [...text.slice(0, index).matchAll(NAMED_HELP)].at(-1)?.[2] ?? '';
  return named.replaceAll(/\$\{[^}]*\}/g, '…');
}
