import type { RunState } from '../file-server/fleet/fleet-types.ts';

/** What the operator of a file server can say. */
export type FileServerCommand = Exclude<RunState, 'stopped'> | 'status' | 'help' | 'quit';

/** One line of help. */
export const FILE_SERVER_HELP = 'p pauses, r resumes, d drains, q ends it, s prints how it is';

const COMMANDS: ReadonlyMap<string, FileServerCommand> = new Map([
  ...words('paused', 'p', 'pause', '1', 'p1', 'pause 1'),
  ...words('running', 'r', 'resume', 'r1', 'resume 1'),
  ...words('draining', 'd', 'drain', 'd1', 'drain 1'),
  ...words('quit', 'q', 'quit', 'exit', 'stop', 'e', 'end', 'e1', 'end 1'),
  ...words('status', '', 's', 'status'),
  ...words('help', 'h', 'help', '?'),
]);

/** Reads one line of the console, as the one of `serve`: case and white space do not matter. */
export function parseFileServerCommand(line: string): FileServerCommand | undefined {
  return COMMANDS.get(line.trim().toLowerCase().replaceAll(/\s+/g, ' '));
}

function words(command: FileServerCommand, ...all: readonly string[]): [string, FileServerCommand][] {
  return all.map((word) => [word, command]);
}
