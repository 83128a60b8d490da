import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

interface Limit {
  readonly name: string;
  readonly value: string;
  readonly reason: string;
  readonly file: string;
}

const ROOMS = [
  ['core', 'Files, chunks and manifests'],
  ['core/scheduler', 'The scheduler'],
  ['transport', 'HTTP'],
  ['client', 'Downloading'],
  ['client/sources', 'Sources'],
  ['client/destinations', 'Output'],
  ['client/digests', 'Digests'],
  ['client/storage', 'Part file, journal and lock'],
  ['client/fleet', 'Calling a fleet'],
  ['client/upload', 'Publishing'],
  ['file-server', 'Serving'],
  ['file-server/digests', 'Digests of what is served'],
  ['file-server/fleet', 'A file server of a fleet'],
  ['file-server/chunks', 'The chunk store'],
  ['information-server', 'The information server'],
  ['information-server/accounts', 'Accounts'],
  ['information-server/files', 'The catalogue'],
  ['information-server/grants', 'Grants'],
  ['information-server/keys', 'Keys'],
  ['information-server/servers', 'File servers, as the fleet sees them'],
  ['information-server/uploads', 'Publishing'],
  ['information-server/repair', 'Repair'],
  ['information-server/events', 'What happens'],
  ['information-server/leadership', 'Leadership'],
  ['information-server/platform', 'HTTP of the information server'],
  ['events', 'Events'],
  ['events/rabbitmq', 'Events over RabbitMQ'],
  ['database', 'The database'],
  ['database/sqlite', 'SQLite'],
  ['cli', 'The command line'],
  ['cli/fleet', 'The command line in a fleet'],
  ['cli/up', 'A fleet on one machine'],
] as const;

/** A number in capital letters, with the comment right above it. */
const NUMBER = /^(?:export )?const ([A-Z][A-Z0-9_]*)(?:: number)? = ([\d_][\d_. */+()]*|[\d_]+ \* MIB|MIB);$/;

/**
 * Every number of the sources that has a name in capital letters and a reason, a table for each folder, for
 * docs/limits.md. Of two limits of one thing, such as FIRST_REST and MOST_REST, the second shares the first one's
 * comment.
 */
export function limitTables(root: string): string {
  return ROOMS.map(([folder, title]) => {
    const files = globSync(`src/${folder}/*.ts`, { cwd: root }).sort();
    const rows = files.flatMap((file) => limitsIn(file, readFileSync(join(root, file), 'utf8')));
    if (rows.length === 0) return '';
    const lines = rows.map(({ name, value, reason, file }) => {
      const where = file.slice(`src/${folder}/`.length);
      return `| \`${name}\` | ${value} | ${reason} | ${where} |`;
    });
    return `### ${title}: src/${folder}\n\n| name | value | what it is, and why | file |\n| --- | --- | --- | --- |\n${lines.join('\n')}\n`;
  })
    .filter((table) => table !== '')
    .join('\n');
}

function limitsIn(file: string, text: string): Limit[] {
  const found: Limit[] = [];
  let comment: string[] = [];
  let open = false;
  let last: { reason: string; subject: string | undefined } | undefined;
  for (const line of text.split('\n')) {
    if (line.startsWith('/**')) {
      comment = [];
      open = true;
    }
    if (open) {
      comment.push(line.replace(/^\/\*\*| *\*\/$|^ \*/g, '').trim());
      open = !line.endsWith('*/');
      if (!open) last = { reason: comment.filter((each) => each !== '').join(' '), subject: undefined };
      continue;
    }
    const [, name, value] = NUMBER.exec(line) ?? [];
    const about = name?.replace(/^(FIRST|LEAST|MOST)_/, '');
    const own = last?.subject === undefined || last.subject === about;
    if (last === undefined || name === undefined || value === undefined || !own) {
      last = undefined;
      continue;
    }
    last = { reason: last.reason, subject: about };
    found.push({ name, value: shown(value), reason: last.reason.replaceAll('|', '\\|'), file });
  }
  return found;
}

/** `524,288 (512 * 1024)`: the number, and how it is written where that says more. */
function shown(expression: string): string {
  const plain = expression.replaceAll('_', '').replaceAll('MIB', '1048576');
  const value = plain.split('*').reduce((product, each) => product * Number(each), 1);
  const number = value.toLocaleString('en', { maximumFractionDigits: 3 });
  return expression.includes('*') ? `${number} (${expression})` : number;
}
