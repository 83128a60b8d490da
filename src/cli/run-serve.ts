import { HeadwaterError } from '../core/errors.ts';
import type { Log } from '../file-server/log.ts';
import { serve } from '../file-server/serve.ts';
import type { Serving } from '../file-server/serve-types.ts';
import { CONSOLE_HELP, parseConsoleCommand } from './console-command.ts';
import { listenForInterrupts } from './interrupt.ts';
import { OperatorConsole, type ConsoleInput } from './operator-console.ts';
import type { PrintStream } from './print/printer.ts';
import {
  jsonServePrinter,
  lineServePrinter,
  terminalServePrinter,
  type ServePrinter,
} from './print/serve-printer.ts';
import type { LogLevel, ServeRequest } from './serve-request.ts';

/** What the command needs of its process. */
export interface ServeSurroundings {
  readonly stdin: ConsoleInput;
  readonly stdout: PrintStream & NodeJS.EventEmitter;
  readonly stderr: PrintStream;
}

/**
 * Serves until every server has ended: by a signal, by the console, by the control API.
 *
 * @throws HeadwaterError `HW_USAGE`, `HW_LISTEN`; the latter also when every server failed
 */
export async function runServe(request: ServeRequest, around: ServeSurroundings): Promise<void> {
  using interrupts = listenForInterrupts();
  const inPlace = request.print === 'table' && around.stdout.isTTY === true && process.env['TERM'] !== 'dumb';
  const printer = await printerFor(request, around, inPlace);
  // Nobody reads the table any more; what is served is served on.
  around.stdout.on('error', () => undefined);
  const log = request.log === undefined ? undefined : await logTo(request.log);
  try {
    await using serving = await serve(request.paths, {
      ...request.serve,
      ...(log !== undefined && { log }),
      signal: interrupts.signal,
      onEvent: (event) => printer.event(event),
    });
    const operator = new OperatorConsole(around.stdin, inPlace, {
      onLine: (line) => {
        obey(line, serving, printer);
        printer.typing('');
      },
      onTyping: (line) => printer.typing(line),
      onInterrupt: () => process.kill(process.pid, 'SIGINT'),
    });
    try {
      await serving.closed;
    } finally {
      operator.close();
    }
    if (serving.servers.every(({ state }) => state === 'failed')) {
      throw new HeadwaterError('HW_LISTEN', 'every server failed');
    }
  } finally {
    printer.close();
  }
}

/** Does what the operator said. */
export function obey(line: string, serving: Serving, printer: ServePrinter): void {
  const command = parseConsoleCommand(line);
  switch (command.kind) {
    case 'status':
      return printer.status({
        servers: serving.servers.map((each) => each.status()),
        hashing: serving.hashing,
      });
    case 'quit':
      return void serving.close();
    case 'help':
      return printer.say(CONSOLE_HELP);
    case 'unknown':
      return printer.say(`"${command.text}" is no command; ${CONSOLE_HELP}`);
    case 'pause':
    case 'resume':
    case 'end': {
      const server = serving.servers.find(({ id }) => id === command.id);
      if (server === undefined) {
        return printer.say(`there is no server ${command.id}; there are 1 to ${serving.servers.length}`);
      }
      return void server[command.kind]();
    }
  }
}

async function printerFor(
  { print }: ServeRequest,
  { stdout }: ServeSurroundings,
  inPlace: boolean,
): Promise<ServePrinter> {
  if (print === 'json') return jsonServePrinter(stdout);
  if (!inPlace) return lineServePrinter(stdout);
  const { openScreen } = await import('./print/screen.ts');
  return terminalServePrinter(stdout, openScreen(stdout));
}

/** JSON lines on standard error. */
export async function logTo(level: LogLevel): Promise<Log> {
  const { pino } = await import('pino');
  const logger = pino({ level }, pino.destination({ fd: 2, sync: false }));
  return {
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
  };
}
