import { realpathSync } from 'node:fs';
import { delimiter, join, relative } from 'node:path';

/** Arguments that would make the same command begin anew. */
const BEGINS_ANEW = new Set(['--no-resume']);

/**
 * The shell command that goes on where this one stopped: the same arguments, but for those that would begin anew.
 *
 * @param program how the program is called
 * @param argv the arguments as they were typed
 */
export function resumeCommand(program: string, argv: readonly string[]): string {
  return [program, ...argv.filter((each) => !BEGINS_ANEW.has(each))].map(shellQuoted).join(' ');
}

/** One word of a POSIX shell that means `text` and nothing else. */
export function shellQuoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

/** `headwater` where the shell finds this very program under that name; its path where it does not. */
export function programName(script: string, path: string, folder: string): string {
  const own = real(script);
  const found = path
    .split(delimiter)
    .map((each) => real(join(each, 'headwater')))
    .find((each) => each !== undefined);
  if (own !== undefined && found === own) return 'headwater';
  const near = relative(folder, script);
  return near.startsWith('..') || near === '' ? script : near.includes('/') ? near : `./${near}`;
}

function real(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}
