import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';

import { HeadwaterError } from '../core/errors.ts';
import { acquireLock, type FileLock } from '../client/storage/lock.ts';
import { CONSOLE_HELP, parseConsoleCommand } from './console-command.ts';
import { listenForInterrupts } from './interrupt.ts';
import { OperatorConsole, type ConsoleInput } from './operator-console.ts';
import type { PrintStream } from './print/printer.ts';
import { jsonUpPrinter, lineUpPrinter, terminalUpPrinter, type UpPrinter } from './print/up-printer.ts';
import { programName } from './resume-command.ts';
import { FleetView } from './up/fleet-view.ts';
import { firstAdmin, localToken } from './up/local-admin.ts';
import { makeFolder, planOf, stateOf, type UpPlan } from './up/plan.ts';
import { UpFleet } from './up/up-fleet.ts';
import type { UpRequest } from './up/up-request.ts';
import { awaitFormer, readState, writeState } from './up/up-state.ts';

/** What the command needs of its process. */
export interface UpSurroundings {
  readonly stdin: ConsoleInput;
  readonly stdout: PrintStream & NodeJS.EventEmitter;
  readonly env: NodeJS.ProcessEnv;
}

/**
 * Runs a whole fleet until it is told to stop: by a signal, or by the console.
 *
 * @throws HeadwaterError `HW_USAGE`, `HW_CONFLICT` (another one runs on this data folder), `HW_LISTEN`, `HW_DISK`,
 *   `HW_DATABASE`, and why a part did not start
 */
export async function runUp(request: UpRequest, around: UpSurroundings): Promise<void> {
  using interrupts = listenForInterrupts();
  const { data } = request;
  await makeFolder(join(data, 'logs'));
  const lock = await lockFolder(data);
  // Nobody reads the table any more; the fleet goes on.
  around.stdout.on('error', () => undefined);
  const inPlace = request.print === 'table' && around.stdout.isTTY === true && around.env['TERM'] !== 'dumb';
  const printer = await printerFor(request, around, inPlace);
  try {
    const before = await readState(data);
    if (before !== undefined) await awaitFormer(before);
    const plan = await planOf(request, before);
    for (const message of plan.notes) printer.event({ event: 'note', message });
    const admin = await firstAdmin(data, around.env);
    if (admin !== undefined) {
      const { email, password } = admin;
      printer.event({ event: 'admin', email, ...(password !== undefined && { password }) });
    }
    await writeState(data, stateOf(plan, []));
    const { servers, informationServers } = plan;
    printer.event({
      event: 'starting',
      servers: servers.length,
      informationServers: informationServers.length,
    });
    await run({ request, around, plan, printer, inPlace, signal: interrupts.signal });
    printer.event({ event: 'end' });
  } finally {
    printer.close();
    await lock.release();
  }
}

interface Work {
  readonly request: UpRequest;
  readonly around: UpSurroundings;
  readonly plan: UpPlan;
  readonly printer: UpPrinter;
  readonly inPlace: boolean;
  readonly signal: AbortSignal;
}

async function run({ request, around, plan, printer, inPlace, signal }: Work): Promise<void> {
  const urls = plan.informationServers.map(({ url }) => url);
  const view = new FleetView(urls, () => localToken(plan.data, around.env));
  const remember = stateKeeper(plan);
  const quit = new AbortController();
  const over = AbortSignal.any([signal, quit.signal]);
  const fleet: UpFleet = new UpFleet(plan, view, around.env, (event) => {
    printer.event(event);
    // Whoever starts after this one was killed waits for these.
    if (event.event === 'process') void remember(fleet.pids);
  });
  // A second Ctrl-C ends this process at once, and nothing may be left behind.
  const atOnce = (): void => fleet.kill();
  process.on('exit', atOnce);
  try {
    try {
      await fleet.start(over);
    } catch (error) {
      if (over.aborted) return;
      throw error;
    }
    const [url = ''] = urls;
    const { data, folders, ownFolder } = plan;
    printer.event({ event: 'ready', url, data, folders, ownFolder, ...(await fleet.look()) });
    const operator = new OperatorConsole(around.stdin, inPlace, {
      onLine: (line) => {
        void obey(line, fleet, printer, () => quit.abort());
        printer.typing('');
      },
      onTyping: (line) => printer.typing(line),
      onInterrupt: () => process.kill(process.pid, 'SIGINT'),
    });
    try {
      await watch(fleet, printer, request.interval * 1000, over);
    } finally {
      operator.close();
    }
  } finally {
    printer.event({ event: 'stopping' });
    await fleet.stop();
    printer.event({ event: 'status', ...fleet.status });
    process.off('exit', atOnce);
    await remember([]);
  }
}

/** Writes down what runs, one after the other; what cannot be written now is with the next. */
function stateKeeper(plan: UpPlan): (pids: readonly number[]) => Promise<void> {
  let last = Promise.resolve();
  return (pids) => {
    last = last.then(() => writeState(plan.data, stateOf(plan, pids))).catch(() => undefined);
    return last;
  };
}

async function watch(fleet: UpFleet, printer: UpPrinter, every: number, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await sleep(every, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    printer.event({ event: 'status', ...(await fleet.look()) });
  }
}

/** Does what the operator said. */
async function obey(line: string, fleet: UpFleet, printer: UpPrinter, quit: () => void): Promise<void> {
  const command = parseConsoleCommand(line);
  switch (command.kind) {
    case 'status':
      return printer.status(fleet.status);
    case 'quit':
      return quit();
    case 'help':
      return printer.say(CONSOLE_HELP);
    case 'unknown':
      return printer.say(`"${command.text}" is no command; ${CONSOLE_HELP}`);
    case 'pause':
    case 'resume':
    case 'end':
      try {
        const said = await fleet.command(command.id, command.kind);
        if (said !== undefined) printer.say(said);
      } catch (error) {
        const { code, message } =
          error instanceof HeadwaterError ? error : new HeadwaterError('HW_INTERNAL', String(error));
        printer.event({ event: 'fault', code, message });
      }
  }
}

async function printerFor(
  { print }: UpRequest,
  { stdout, env }: UpSurroundings,
  inPlace: boolean,
): Promise<UpPrinter> {
  if (print === 'json') return jsonUpPrinter(stdout);
  const program = programName(process.argv[1] ?? 'headwater', env['PATH'] ?? '', process.cwd());
  if (!inPlace) return lineUpPrinter(stdout, program);
  const { openScreen } = await import('./print/screen.ts');
  return terminalUpPrinter(stdout, openScreen(stdout), program);
}

/** @throws HeadwaterError `HW_CONFLICT` */
async function lockFolder(data: string): Promise<FileLock> {
  const lock = await acquireLock(join(data, 'up.lock'));
  if (!('heldBy' in lock)) return lock;
  const { pid, host } = lock.heldBy;
  throw new HeadwaterError(
    'HW_CONFLICT',
    `"headwater up" runs on ${data} already (process ${pid} on ${host}); --data names another folder`,
    { details: { data, pid } },
  );
}
