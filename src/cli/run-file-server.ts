import { HeadwaterError } from '../core/errors.ts';
import { embeddedFeed } from '../events/embedded-feed.ts';
import type { FeedOf } from '../file-server/fleet/fleet-link.ts';
import { startFleetServer, type FleetServer } from '../file-server/fleet/fleet-server.ts';
import type { FleetServerEvent } from '../file-server/fleet/fleet-types.ts';
import { SILENT } from '../file-server/log.ts';
import { FILE_SERVER_HELP, parseFileServerCommand } from './file-server-command.ts';
import type { FileServerRequest } from './file-server-request.ts';
import { listenForInterrupts } from './interrupt.ts';
import { OperatorConsole } from './operator-console.ts';
import { fileServerPrinter, type FileServerPrinter } from './print/file-server-printer.ts';
import { logTo, type ServeSurroundings } from './run-serve.ts';
import { tellParent } from './up/parent.ts';

/**
 * Runs a file server of a fleet until it has ended: by a signal, by its console, by the fleet.
 *
 * @throws HeadwaterError `HW_USAGE`, `HW_LISTEN`, `HW_DISK`, `HW_CONFLICT`, `HW_SUPERSEDED`, and why the fleet refuses it
 */
export async function runFileServer(request: FileServerRequest, around: ServeSurroundings): Promise<void> {
  using interrupts = listenForInterrupts();
  const inPlace = request.print === 'lines' && around.stdout.isTTY === true && process.env['TERM'] !== 'dumb';
  const printer = await fileServerPrinter(request.print, around.stdout, inPlace);
  // Nobody reads it any more; what is served is served on.
  around.stdout.on('error', () => undefined);
  const log = request.log === undefined ? SILENT : await logTo(request.log);
  try {
    const tell = (event: FleetServerEvent): void => {
      printer.event(event);
      if (event.event === 'fault') tellParent(event);
    };
    const server = await startFleetServer(
      { ...request.server, log, signal: interrupts.signal, onEvent: tell },
      await feedOf(request),
    );
    using signals = listenForStates(server);
    void signals;
    const operator = new OperatorConsole(around.stdin, inPlace, {
      onLine: (line) => {
        obey(line, server, printer);
        printer.typing('');
      },
      onTyping: (line) => printer.typing(line),
      onInterrupt: () => process.kill(process.pid, 'SIGINT'),
    });
    try {
      await server.closed;
    } finally {
      operator.close();
    }
  } catch (error) {
    if (error instanceof HeadwaterError && error.code === 'HW_INTERRUPTED') return;
    throw error;
  } finally {
    printer.close();
  }
}

/**
 * Where events come from: the broker, where the fleet has one and its address is known; else an information server, which
 * has them too.
 *
 * @throws HeadwaterError `HW_USAGE` for what is no address of a broker
 */
async function feedOf({ broker, server: { zone } }: FileServerRequest): Promise<FeedOf> {
  if (broker === undefined) return (_joined, servers) => embeddedFeed(servers);
  const { brokerFeed } = await import('../events/rabbitmq/broker-feed.ts');
  const { brokerAt } = await import('../events/rabbitmq/broker-names.ts');
  brokerAt(broker);
  return (joined, servers) =>
    joined.events === 'broker'
      ? brokerFeed({ url: broker, server: { id: servers.id, zone }, informationServers: servers })
      : embeddedFeed(servers);
}

/**
 * SIGUSR1 pauses, SIGUSR2 resumes. Node would open its debugger on SIGUSR1; with a listener of its own it does not.
 */
function listenForStates({ control }: FleetServer): Disposable {
  const pause = (): void => control.to('paused', 'signal');
  const resume = (): void => control.to('running', 'signal');
  process.on('SIGUSR1', pause);
  process.on('SIGUSR2', resume);
  return {
    [Symbol.dispose]() {
      process.off('SIGUSR1', pause);
      process.off('SIGUSR2', resume);
    },
  };
}

function obey(line: string, server: FleetServer, printer: FileServerPrinter): void {
  const command = parseFileServerCommand(line);
  switch (command) {
    case 'status':
      return printer.status(server.status());
    case 'help':
      return printer.say(FILE_SERVER_HELP);
    case 'quit':
      return void server.close('console');
    case undefined:
      return printer.say(`"${line.trim()}" is no command; ${FILE_SERVER_HELP}`);
    case 'paused':
    case 'running':
    case 'draining':
      return server.control.to(command, 'console');
  }
}
