/** What the operator of `serve` can say. */
export type ConsoleCommand =
  | { readonly kind: 'pause' | 'resume' | 'end'; readonly id: number }
  | { readonly kind: 'status' | 'quit' | 'help' }
  | { readonly kind: 'unknown'; readonly text: string };

/** One line of help. */
export const CONSOLE_HELP =
  '1 pauses server 1, r1 resumes it, e1 ends it, s prints the table, q ends them all (or pause 1, resume 1, end 1, quit)';

const WORDS = {
  '': 'pause',
  p: 'pause',
  pause: 'pause',
  r: 'resume',
  resume: 'resume',
  e: 'end',
  end: 'end',
} as const;
const SINGLE: Readonly<Record<string, 'status' | 'quit' | 'help'>> = {
  '': 'status',
  s: 'status',
  status: 'status',
  q: 'quit',
  quit: 'quit',
  exit: 'quit',
  h: 'help',
  help: 'help',
  '?': 'help',
};

/** Reads one line of the console. Case and white space do not matter. */
export function parseConsoleCommand(line: string): ConsoleCommand {
  const text = line.trim().toLowerCase();
  const single = SINGLE[text];
  if (single !== undefined) return { kind: single };
  const match = /^(p|pause|r|resume|e|end|)\s*(\d{1,9})$/.exec(text);
  if (match === null) return { kind: 'unknown', text: line.trim() };
  return { kind: WORDS[(match[1] ?? '') as keyof typeof WORDS], id: Number(match[2]) };
}
