import type { FleetServerEvent, FleetServerStatus, RunState } from '../../file-server/fleet/fleet-types.ts';
import { count, rate, size } from './amounts.ts';
import { paintFor, type Style } from './paint.ts';
import { oneLine } from './plain-text.ts';
import type { PrintStream } from './printer.ts';

/** Shows a file server of a fleet to somebody. */
export interface FileServerPrinter {
  event(event: FleetServerEvent): void;
  /** The operator asked how it is. */
  status(now: FleetServerStatus): void;
  /** An answer to the operator. */
  say(text: string): void;
  /** What the operator has typed so far. */
  typing(line: string): void;
  close(): void;
}

const STATE_STYLE: Record<RunState, Style> = {
  running: 'green',
  paused: 'yellow',
  draining: 'yellow',
  stopped: 'dim',
};

/** For a terminal, where one line changes in place; for a log; or for programs. */
export async function fileServerPrinter(
  print: 'lines' | 'json',
  stream: PrintStream,
  inPlace: boolean,
): Promise<FileServerPrinter> {
  if (print === 'json') return jsonPrinter(stream);
  if (!inPlace) return linePrinter(stream);
  const { openScreen } = await import('./screen.ts');
  return terminalPrinter(stream, openScreen(stream));
}

function jsonPrinter(stream: PrintStream): FileServerPrinter {
  const line = (value: object) => void stream.write(`${JSON.stringify(value)}\n`);
  return {
    event: line,
    status: (server) => line({ event: 'status', server }),
    say: (message) => line({ event: 'console', message }),
    typing: () => undefined,
    close: () => undefined,
  };
}

function linePrinter(stream: PrintStream): FileServerPrinter {
  const print = (text: string) => void stream.write(`${text}\n`);
  let last = '';
  const status = (now: FleetServerStatus) => print(statusLine(now));
  return {
    event(event) {
      if (event.event !== 'status') {
        const text = sentence(event);
        if (text !== undefined) print(text);
        return;
      }
      // A log has no use for a line a second that says the same.
      const line = statusLine(event.server);
      if (line !== last) print(line);
      last = line;
    },
    status,
    say: print,
    typing: () => undefined,
    close: () => undefined,
  };
}

function terminalPrinter(
  stream: PrintStream,
  screen: Awaited<ReturnType<typeof import('./screen.ts').openScreen>>,
): FileServerPrinter {
  const paint = paintFor(stream);
  let now: FleetServerStatus | undefined;
  let typed = '';
  let open = true;
  const lines = (): string[] => {
    if (now === undefined) return [];
    const { columns = 80 } = stream;
    const line = statusLine(now).slice(0, columns - 1);
    return [line.replace(now.state, () => paint(STATE_STYLE[now?.state ?? 'running'], now?.state ?? ''))];
  };
  const draw = (): void => {
    const { columns = 80 } = stream;
    if (open) screen.draw([...lines(), `> ${oneLine(typed).slice(-(columns - 4))}`]);
  };
  const above = (text: string): void => {
    screen.above(text);
    draw();
  };
  return {
    event(event) {
      if (event.event === 'status') now = event.server;
      else {
        if (event.event === 'state' && now !== undefined) now = { ...now, state: event.state };
        const text = sentence(event);
        const isBad = event.event === 'fault' || event.event === 'bad-chunk';
        if (text !== undefined) screen.above(isBad ? paint('red', text) : text);
      }
      draw();
    },
    status(latest) {
      now = latest;
      above(statusLine(latest));
    },
    say: above,
    typing(line) {
      typed = line;
      draw();
    },
    close() {
      if (!open) return;
      screen.draw(lines());
      open = false;
      screen.leave('keep');
    },
  };
}

function statusLine(now: FleetServerStatus): string {
  const { name, state, connected, files, pending, pendingBytes, clients, bytesSent } = now;
  const parts = [
    `${name}: ${state}`,
    count(files, 'file'),
    ...(pending > 0 ? [`${count(pending, 'file')} to hash (${size(pendingBytes)})`] : []),
    count(clients, 'client'),
    `${size(bytesSent)} sent`,
    rate(now.rate),
    ...(connected ? [] : ['no information server answers']),
  ];
  return oneLine(parts.join(', '));
}

function sentence(event: Exclude<FleetServerEvent, { event: 'status' }>): string | undefined {
  switch (event.event) {
    case 'listening':
      return `Listening at ${event.url}`;
    case 'ready':
      return oneLine(
        `Joined ${event.informationServer} as ${event.name} in the zone ${event.zone} (${event.id})`,
      );
    case 'announced':
      return `Announced: ${count(event.files, 'file')}`;
    case 'state':
      return `${event.state} (${BY[event.by]})`;
    case 'connection':
      return oneLine(
        event.connected
          ? `${event.url} answers again`
          : `no information server answers (${event.message ?? event.url}); what is held is served on by the keys that are known`,
      );
    case 'bad-chunk':
      return oneLine(
        event.chunk === undefined
          ? `a stored chunk is bad or gone: ${event.path}; it is served no more and will be copied again, look after the disk`
          : `chunk ${event.chunk} of ${event.name} is bad on the disk: ${event.path}; it is served no more, look after the disk`,
      );
    case 'fault':
      return oneLine(`fault: ${event.message} (${event.code})`);
    case 'end':
      return 'Ended';
  }
  return undefined;
}

const BY = {
  console: 'by the console',
  signal: 'by a signal',
  operator: 'by an operator of the fleet',
  fleet: 'by the fleet',
  fault: 'by a fault',
} as const;
