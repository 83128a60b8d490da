import type { UpEvent, UpStatus } from '../up/up-types.ts';
import { count, spell } from './amounts.ts';
import { fleetServerLine, fleetTable, informationLine } from './fleet-table.ts';
import { paintFor } from './paint.ts';
import { oneLine } from './plain-text.ts';
import type { PrintStream } from './printer.ts';
import type { Screen } from './screen.ts';
import { showsBlocks } from './unicode.ts';
import { wrapWords } from './wrap-words.ts';

/** Shows a fleet at work to somebody. One kind for a terminal, one for a log, one for programs. */
export interface UpPrinter {
  event(event: UpEvent): void;
  /** The operator asked for the table. */
  status(now: UpStatus): void;
  /** An answer to the operator. */
  say(text: string): void;
  /** What the operator has typed so far. */
  typing(line: string): void;
  close(): void;
}

/** Events as they are, one object a line. */
export function jsonUpPrinter(stream: PrintStream): UpPrinter {
  const line = (value: object): void => void stream.write(`${JSON.stringify(value)}\n`);
  return {
    event: line,
    status: (now) => line({ event: 'status', ...now }),
    say: (message) => line({ event: 'console', message }),
    typing: () => undefined,
    close: () => undefined,
  };
}

/** For logs and pipes: what happens, and the table only when it is asked for. */
export function lineUpPrinter(stream: PrintStream, program: string): UpPrinter {
  const print = (text: string): void => void stream.write(`${text}\n`);
  return {
    event(event) {
      const text = event.event === 'status' ? undefined : sentenceOf(event, program);
      if (text !== undefined) print(text);
    },
    status: ({ servers, informationServers }) =>
      print([...servers.map(fleetServerLine), informationLine(informationServers).trim()].join('\n')),
    say: print,
    typing: () => undefined,
    close: () => undefined,
  };
}

/** A table redrawn in place, with what the operator types below it. */
export function terminalUpPrinter(stream: PrintStream, screen: Screen, program: string): UpPrinter {
  const paint = paintFor(stream);
  const unicode = showsBlocks(process.env);
  let now: UpStatus | undefined;
  let typed = '';
  let open = true;
  const table = (): string[] => {
    const { columns = 80, rows = 24 } = stream;
    return now === undefined ? [] : fleetTable(now, { columns, rows, unicode, paint });
  };
  const draw = (): void => {
    if (!open || now === undefined) return;
    const { columns = 80 } = stream;
    // The end of a line that is too long matters more than its beginning.
    screen.draw([...table(), `> ${oneLine(typed).slice(-(columns - 4))}`]);
  };
  const above = (text: string): void => {
    const { columns = 80 } = stream;
    screen.above(
      text
        .split('\n')
        .map((line) => wrapWords(line, columns - 1))
        .join('\n'),
    );
    draw();
  };
  const close = (): void => {
    if (!open) return;
    open = false;
    screen.draw(table());
    screen.leave('keep');
  };
  return {
    event(event) {
      if (event.event === 'end') {
        close();
        stream.write(`${sentenceOf(event, program)}\n`);
        return;
      }
      if (event.event === 'status' || event.event === 'ready') now = event;
      const text =
        event.event === 'status' || event.event === 'state' ? undefined : sentenceOf(event, program);
      if (text === undefined) draw();
      else above(event.event === 'fault' || isDeath(event) ? paint('red', text) : text);
    },
    status(latest) {
      now = latest;
      above(table().join('\n'));
    },
    say: above,
    typing(line) {
      typed = line;
      draw();
    },
    close,
  };
}

function isDeath(event: UpEvent): boolean {
  return event.event === 'process' && event.state === 'died';
}

function sentenceOf(event: Exclude<UpEvent, { event: 'status' }>, program: string): string | undefined {
  switch (event.event) {
    case 'starting':
      return `Starting ${partsOf(event.servers, event.informationServers)}.`;
    case 'stopping':
      return 'Stopping.';
    case 'note':
      return `note: ${oneLine(event.message)}`;
    case 'admin':
      return adminText(event);
    case 'ready':
      return readyText(event, program);
    case 'state':
      return event.state === 'ended' || event.state === 'died'
        ? undefined
        : `${event.name} is ${event.state}`;
    case 'process':
      return processSentence(event);
    case 'fault':
      return oneLine(`fault: ${event.message} (${event.code})`);
    case 'end':
      return 'Everything has stopped.';
    default:
      return undefined;
  }
}

function adminText({ email, password }: Extract<UpEvent, { event: 'admin' }>): string {
  if (password === undefined) return `First admin: ${email}, with the password that was given.`;
  return `First admin: ${email}\n   Password: ${password}   (shown this once)`;
}

function readyText(
  { url, servers, folders, ownFolder, data, informationServers }: Extract<UpEvent, { event: 'ready' }>,
  program: string,
): string {
  const lines = [
    `A fleet of ${partsOf(servers.length, informationServers.length)} is up at ${url}`,
    `  files   ${folders.map(oneLine).join(', ')}${ownFolder ? '   (put some there, or start with --folder DIR)' : ''}`,
    `  data    ${oneLine(data)}   (logs in ${oneLine(data)}/logs)`,
    '',
    `  ${program} login ${url}`,
    `  ${program} ls`,
    `  ${program} get NAME`,
    '',
    'Keys: 2 pauses server 2, r2 resumes it, e2 ends it, q or Ctrl-C stops everything.',
  ];
  return lines.join('\n');
}

function partsOf(servers: number, informationServers: number): string {
  return `${count(servers, 'file server')} and ${count(informationServers, 'information server')}`;
}

function processSentence(event: Extract<UpEvent, { event: 'process' }>): string | undefined {
  if (event.state === 'started') return undefined;
  const how = event.signal === null ? `with status ${event.code ?? '?'}` : `by ${event.signal}`;
  if (event.state === 'ended') return `${event.name} has ended`;
  const again = event.restartIn === undefined ? '' : `; it is started again in ${spell(event.restartIn)}`;
  return `${event.name} (process ${event.pid ?? '?'}) died ${how}${again}`;
}
