import type { HashingState } from '../../file-server/digests/digest-service.ts';
import type { FaultEvent, ServeEvent, ServerStatus, StateEvent } from '../../file-server/serve-types.ts';
import { paintFor } from './paint.ts';
import { oneLine } from './plain-text.ts';
import type { PrintStream } from './printer.ts';
import { readyText } from './ready-text.ts';
import type { Screen } from './screen.ts';
import { hashingLine, serverLine, serverTable } from './server-table.ts';
import { showsBlocks } from './unicode.ts';

/** What servers do, at the moment it is asked for. */
export interface ServersNow {
  readonly servers: readonly ServerStatus[];
  readonly hashing: HashingState;
}

/** Shows servers at work to somebody. One kind for a terminal, one for a log, one for programs. */
export interface ServePrinter {
  event(event: ServeEvent): void;
  /** The operator asked for the table. */
  status(now: ServersNow): void;
  /** An answer to the operator. */
  say(text: string): void;
  /** What the operator has typed so far. */
  typing(line: string): void;
  close(): void;
}

/** Events as they are, one object a line. */
export function jsonServePrinter(stream: PrintStream): ServePrinter {
  const line = (value: object) => void stream.write(`${JSON.stringify(value)}\n`);
  return {
    event: line,
    status: (now) => line({ event: 'status', ...now }),
    say: (message) => line({ event: 'console', message }),
    typing: () => undefined,
    close: () => undefined,
  };
}

/** For logs and pipes: a line per server at every interval, and a line for everything else. */
export function lineServePrinter(stream: PrintStream): ServePrinter {
  const print = (text: string) => void stream.write(`${text}\n`);
  const status = ({ servers, hashing }: ServersNow) => {
    const hashed = hashingLine(hashing);
    print([...servers.map(serverLine), ...(hashed === undefined ? [] : [hashed])].join('\n'));
  };
  return {
    event(event) {
      if (event.event === 'ready') print(readyText(event));
      else if (event.event === 'status') status(event);
      else if (event.event === 'end') print(event.servers.map(serverLine).join('\n'));
      else print(sentence(event));
    },
    status,
    say: print,
    typing: () => undefined,
    close: () => undefined,
  };
}

/** A table redrawn in place, with what the operator types below it. */
export function terminalServePrinter(stream: PrintStream, screen: Screen): ServePrinter {
  const paint = paintFor(stream);
  const unicode = showsBlocks(process.env);
  let now: { servers: readonly ServerStatus[]; hashing?: HashingState } = { servers: [] };
  let typed = '';
  let open = true;
  const table = () => {
    const { columns = 80, rows = 24 } = stream;
    return { columns, lines: serverTable(now.servers, now.hashing, { columns, rows, unicode, paint }) };
  };
  const draw = () => {
    const { columns, lines } = table();
    // The end of a line that is too long matters more than its beginning.
    if (open) screen.draw([...lines, `> ${oneLine(typed).slice(-(columns - 4))}`]);
  };
  const above = (text: string) => {
    screen.above(text);
    draw();
  };
  return {
    event(event) {
      if ('servers' in event) now = event;
      if (event.event === 'ready') above(readyText(event));
      else if (event.event === 'fault') above(paint('red', sentence(event)));
      else if (event.event === 'state') {
        const servers = now.servers.map((each) =>
          each.id === event.id ? { ...each, state: event.state } : each,
        );
        now = { ...now, servers };
      }
      draw();
    },
    status(latest) {
      now = latest;
      above(table().lines.join('\n'));
    },
    say: above,
    typing(line) {
      typed = line;
      draw();
    },
    close() {
      if (!open) return;
      typed = '';
      screen.draw(table().lines);
      open = false;
      screen.leave('keep');
    },
  };
}

function sentence(event: StateEvent | FaultEvent): string {
  if (event.event === 'state') return `server ${event.id} (${event.url}) is ${event.state}`;
  const where = event.id === undefined ? '' : `server ${event.id}: `;
  return oneLine(`fault: ${where}${event.message} (${event.code})`);
}
