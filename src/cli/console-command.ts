/** What the operator of `serve` can say. */
export type ConsoleCommand =
  | { readonly kind: 'pause' | 'resume' | 'end'; readonly id: number }
  | { readonly kind: 'status' | 'quit' | 'help' }
  | { readonly kind: 'unknown'; readonly text: string };

/** One line of help. */
export const CONSOLE_HELP =
  '1 pauses server 1, r1 resumes it, e1 ends it, s prints the table, q ends them all (or pause 1, resume 1, end 1, quit)';

const WITH_ID: ReadonlyMap<string, 'pause' | 'resume' | 'end'> = new Map([
  ['', 'pause'],
  ['p', 'pause'],
  ['pause', 'pause'],
  ['r', 'resume'],
  ['resume', 'resume'],
  ['e', 'end'],
  ['end', 'end'],
]);
const ALONE: ReadonlyMap<string, 'status' | 'quit' | 'help'> = new Map([
  ['', 'status'],
  ['s', 'status'],
  ['status', 'status'],
  ['q', 'quit'],
  ['quit', 'quit'],
  ['exit', 'quit'],
  ['h', 'help'],
  ['help', 'help'],
  ['?', 'help'],
]);

/** Reads one line of the console. Case and white space do not matter. */
export function parseConsoleCommand(line: string): ConsoleCommand {
  const text = line.trim().toLowerCase();
  const alone = ALONE.get(text);
  if (alone !== undefined) return { kind: alone };
  const match = /^([a-z]*)\s*(\d{1,9})$/.exec(text);
  const kind = WITH_ID.get(match?.[1] ?? '?');
  return kind === undefined ? { kind: 'unknown', text: line.trim() } : { kind, id: Number(match?.[2]) };
}
