import { uploadToFleet } from '../client/upload/upload.ts';
import type { UploadEvent } from '../client/upload/types.ts';
import type { FleetClient } from '../client/fleet/fleet-client.ts';
import { type ErrorCode, EXIT, HeadwaterError } from '../core/errors.ts';
import { openClient } from './fleet/with-fleet.ts';
import type { Interrupts } from './interrupt.ts';
import { count, size } from './print/amounts.ts';
import { errorLine, exitStatus } from './print/error.ts';
import { jsonPrinter } from './print/json-printer.ts';
import { moment } from './print/moments.ts';
import { type Printer, type PrintStream, silentPrinter } from './print/printer.ts';
import { putLinePrinter } from './print/put-line-printer.ts';
import { putTerminalPrinter } from './print/put-terminal-printer.ts';
import { REDRAW_EVERY } from './print/terminal-printer.ts';
import { filesToPut, type FileToPut } from './put-files.ts';
import type { PutRequest } from './put-request.ts';
import { programName, resumeCommand } from './resume-command.ts';
import { hideSecrets } from './secrets.ts';

/** What the command needs of its process. */
export interface PutSurroundings {
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: PrintStream & NodeJS.EventEmitter;
  readonly stderr: PrintStream;
  readonly interrupts: Interrupts;
  /** The arguments as they were typed. */
  readonly argv: readonly string[];
}

/** What is wrong with one file is not with the next. */
const OF_ONE_FILE: ReadonlySet<ErrorCode> = new Set([
  'HW_CONFLICT',
  'HW_DISK',
  'HW_INPUT_CHANGED',
  'HW_FORBIDDEN',
]);
/** After these the same command goes on where it stopped. */
const RESUMABLE: ReadonlySet<ErrorCode> = new Set(['HW_INTERRUPTED', 'HW_NO_ROOM', 'HW_INCOMPLETE']);

/**
 * Publishes, shows how it goes, and says how it ended.
 *
 * @returns the exit status
 */
export async function runPut(request: PutRequest, around: PutSurroundings): Promise<number> {
  const run = new Run(request, around);
  const gone = (error: NodeJS.ErrnoException): void => run.outputFailed(error);
  around.stdout.on('error', gone);
  const client = await openClient();
  try {
    const { files, leftOut } = await filesToPut(request, around.interrupts.signal);
    if (leftOut.length > 0) run.say(`note: ${leftOutSentence(leftOut)}`);
    return await run.all(client, files);
  } finally {
    await client.close();
    around.stdout.off('error', gone);
  }
}

/** One call of `put`. */
class Run {
  readonly #request: PutRequest;
  readonly #around: PutSurroundings;
  #readerGone = false;
  /** What is known of the file under way. */
  #bytes = 0;
  #size = 0;
  #keepUntil: string | undefined;

  constructor(request: PutRequest, around: PutSurroundings) {
    this.#request = request;
    this.#around = around;
  }

  async all(client: FleetClient, files: readonly FileToPut[]): Promise<number> {
    const printer = await this.#printer(files.length);
    let status: number = EXIT.done;
    let failed = 0;
    try {
      for (const file of files) {
        try {
          await this.#one(client, file, printer);
        } catch (error) {
          const code = error instanceof HeadwaterError ? error.code : 'HW_INTERNAL';
          if (!OF_ONE_FILE.has(code) || files.length === 1) return this.#failed(error, printer);
          if (this.#request.print === 'json') printer.failed(error);
          this.say(errorLine(error));
          failed++;
          if (status === EXIT.done) status = exitStatus(error);
        }
      }
      printer.close();
      if (failed > 0) this.say(`headwater: ${failed} of ${count(files.length, 'file')} were not published`);
      return status;
    } finally {
      printer.close();
    }
  }

  /** Nobody reads what is printed any more: nothing more to do, and nobody to tell. */
  outputFailed(error: NodeJS.ErrnoException): void {
    if (error.code !== 'EPIPE') return;
    this.#readerGone = true;
    this.#around.interrupts.stop(new HeadwaterError('HW_INTERRUPTED', 'nobody reads the output any more'));
  }

  say(line: string): void {
    this.#around.stderr.write(`${line}\n`);
  }

  async #one(client: FleetClient, { input, name }: FileToPut, printer: Printer<UploadEvent>): Promise<void> {
    const { upload, interval } = this.#request;
    [this.#bytes, this.#size, this.#keepUntil] = [0, 0, undefined];
    await uploadToFleet(client, input === '-' ? this.#around.stdin : input, {
      ...upload,
      name,
      interval: this.#drawsInPlace ? REDRAW_EVERY / 1000 : interval,
      signal: this.#around.interrupts.signal,
      onEvent: (event) => {
        this.#note(event);
        printer.event(event);
      },
    });
  }

  get #drawsInPlace(): boolean {
    const dumb = process.env['TERM'] === 'dumb';
    return this.#request.print === 'progress' && this.#around.stdout.isTTY === true && !dumb;
  }

  async #printer(files: number): Promise<Printer<UploadEvent>> {
    const { print } = this.#request;
    const { stdout } = this.#around;
    if (print === 'nothing') return silentPrinter;
    if (print === 'json') return jsonPrinter(stdout, hideSecrets({}));
    if (!this.#drawsInPlace) return putLinePrinter(stdout);
    const { openScreen } = await import('./print/screen.ts');
    return putTerminalPrinter(stdout, openScreen(stdout), files);
  }

  #note(event: UploadEvent): void {
    if (event.event === 'start') [this.#size, this.#keepUntil] = [event.size, event.keepUntil];
    if (event.event === 'progress') this.#bytes = event.bytes;
  }

  #failed(error: unknown, printer: Printer<UploadEvent>): number {
    printer.failed(error);
    if (this.#readerGone) return EXIT.pipe;
    const told = this.#around.interrupts.signal.aborted ? this.#stopped(error) : error;
    this.say(errorLine(told));
    const code = told instanceof HeadwaterError ? told.code : 'HW_INTERNAL';
    if (RESUMABLE.has(code)) this.#sayHowToGoOn();
    return exitStatus(told);
  }

  #stopped(cause: unknown): HeadwaterError {
    const until = this.#keepUntil === undefined ? '' : ` until ${moment(this.#keepUntil)}`;
    const kept =
      this.#keepUntil === undefined || this.#bytes === 0
        ? 'nothing was published'
        : `${size(this.#bytes)} of ${size(this.#size)} are in the fleet and kept there${until}`;
    const details = { keptBytes: this.#bytes };
    return new HeadwaterError('HW_INTERRUPTED', `stopped; ${kept}`, { cause, details });
  }

  #sayHowToGoOn(): void {
    const name = programName(process.argv[1] ?? 'headwater', process.env['PATH'] ?? '', process.cwd());
    const again = this.#request.inputs.includes('-') ? ', with the same input' : '';
    this.say(`go on with: ${resumeCommand(name, this.#around.argv)}${again}`);
  }
}

function leftOutSentence(paths: readonly string[]): string {
  const shown = paths.slice(0, 3).join(', ');
  const more = paths.length > 3 ? ` and ${count(paths.length - 3, 'more', 'more')}` : '';
  return `${shown}${more}: left out, neither a file nor a folder`;
}
