import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** One line that a server can write into its log. */
export interface LogLine {
  readonly level: string;
  /** The text, with … for what differs. */
  readonly text: string;
  readonly file: string;
}

const CALL = /\blog\??\.(debug|info|warn|error)\(/g;
/** The last argument, where it is a text. */
const LAST_TEXT = /(['"`])((?:(?!\1)[^\\]|\\.)*)\1,?\s*$/s;

/** What the servers of a fleet write into their logs. Lines that pass on an error's own text are not among them. */
export function logLines(root: string): LogLine[] {
  const files = globSync(
    ['src/information-server/**/*.ts', 'src/events/**/*.ts', 'src/file-server/**/*.ts'],
    {
      cwd: root,
    },
  ).sort();
  return files.flatMap((file) => linesIn(readFileSync(join(root, file), 'utf8'), file));
}

function linesIn(source: string, file: string): LogLine[] {
  return [...source.matchAll(CALL)].flatMap(({ 1: level = '', 0: call, index }) => {
    const text = LAST_TEXT.exec(argumentsAt(source, index + call.length))?.[2];
    if (text === undefined) return [];
    return [{ level, text: text.replaceAll(/\$\{[^}]*\}/g, '…').replaceAll(/\\(.)/g, '$1'), file }];
  });
}

/** Everything up to the bracket that closes the call. */
function argumentsAt(source: string, start: number): string {
  let depth = 1;
  let at = start;
  for (; at < source.length && depth > 0; at++) {
    if (source[at] === '(') depth++;
    if (source[at] === ')') depth--;
  }
  return source.slice(start, at - 1);
}
