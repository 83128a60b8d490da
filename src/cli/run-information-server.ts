import { once } from 'node:events';
import { setFlagsFromString } from 'node:v8';

import { pino } from 'pino';

import { startInformationServer } from '../information-server/information-server.ts';
import type { InformationServerRequest } from './information-server-request.ts';
import { listenForInterrupts } from './interrupt.ts';
import type { PrintStream } from './print/printer.ts';

/** What a log line must not show, wherever a library may have put it. */
const SECRETS = ['password', 'token', 'authorization', 'cookie', 'key'].flatMap((name) => [
  name,
  `*.${name}`,
  `*.*.${name}`,
]);

/**
 * Runs an information server until a signal: the first one finishes what is under way, the second ends it at once.
 *
 * @throws HeadwaterError `HW_USAGE`, `HW_DATABASE`, `HW_DISK`, `HW_LISTEN`
 */
export async function runInformationServer(
  request: InformationServerRequest,
  stdout: PrintStream & NodeJS.EventEmitter,
): Promise<void> {
  // The engine would rather grow than collect: with a million files listed page after page it holds 320 MB where 210 do.
  setFlagsFromString('--optimize-for-size');
  using interrupts = listenForInterrupts();
  // Nobody reads the lines any more; the server goes on.
  stdout.on('error', () => undefined);
  const log = pino(
    { level: request.log, base: { pid: process.pid }, redact: SECRETS },
    pino.destination({ fd: 2, sync: false }),
  );
  const server = await startInformationServer({ ...request.server, log, signal: interrupts.signal });
  const { url, port } = server;
  const said = {
    event: 'ready',
    url,
    port,
    pid: process.pid,
    leader: server.isLeader,
    data: request.server.data,
  };
  if (request.print === 'json') stdout.write(`${JSON.stringify(said)}\n`);
  else stdout.write(`Information server at ${url}\n`);
  if (!interrupts.signal.aborted) await once(interrupts.signal, 'abort');
  await server.close();
  if (request.print === 'json') stdout.write(`${JSON.stringify({ event: 'stopped', url })}\n`);
  log.flush();
}
