import { writeFileSync } from 'node:fs';
import { Writable } from 'node:stream';

import type { FleetDownloadOptions } from '../client/fleet/fleet-download.ts';
import type { DownloadEvent, DownloadOptions, DownloadReport } from '../client/types.ts';
import { type ErrorCode, EXIT, HeadwaterError } from '../core/errors.ts';
import type { GetRequest } from './get-request.ts';
import type { Interrupts } from './interrupt.ts';
import { size } from './print/amounts.ts';
import { errorLine, exitStatus } from './print/error.ts';
import { jsonPrinter } from './print/json-printer.ts';
import { linePrinter } from './print/line-printer.ts';
import { type Printer, type PrintStream, silentPrinter } from './print/printer.ts';
import { REDRAW_EVERY, terminalPrinter } from './print/terminal-printer.ts';
import { programName, resumeCommand } from './resume-command.ts';
import { type Hide, hideSecrets } from './secrets.ts';

export type Download = (
  sources: readonly (string | URL)[],
  options?: DownloadOptions & Pick<FleetDownloadOptions, 'onGrant'>,
) => Promise<DownloadReport>;

/** What a command needs of its process. */
export interface Surroundings {
  readonly stdout: PrintStream & NodeJS.EventEmitter;
  readonly stderr: PrintStream;
  /** Standard output for the file itself. */
  readonly openOutput: () => Writable;
  readonly interrupts: Interrupts;
  /** The arguments as they were typed. */
  readonly argv: readonly string[];
}

/** A terminal shows `^C` where the cursor is, at the beginning of the line below the picture. */
const RUB_OUT_ECHO = '\r\u001B[K';

/** After these the same command goes on where it stopped. */
const RESUMABLE: readonly ErrorCode[] = ['HW_INTERRUPTED', 'HW_SOURCES_LOST', 'HW_DISK_FULL'];

/**
 * Downloads, shows how it goes, and says how it ended.
 *
 * @returns the exit status
 * @throws HeadwaterError `HW_USAGE` for a request that makes no sense where it is made
 */
export async function runGet(
  request: GetRequest,
  load: () => Promise<Download>,
  around: Surroundings,
): Promise<number> {
  const toStdout = request.output === '-';
  if (toStdout && around.stdout.isTTY === true && request.download.force !== true) {
    throw new HeadwaterError(
      'HW_USAGE',
      '--output takes "-" when standard output is a pipe or a file, and it is a terminal (--force writes to it)',
    );
  }
  const run = new Run(request, around);
  const [download, printer] = await Promise.all([load(), run.printer()]);
  try {
    const output = toStdout ? run.openOutput() : request.output;
    const report = await download(request.sources, {
      ...request.download,
      ...(output === undefined ? {} : { output }),
      interval: run.drawsInPlace ? REDRAW_EVERY / 1000 : request.interval,
      signal: around.interrupts.signal,
      ...(request.file !== undefined && { onGrant: ({ sources }) => run.granted(sources.length) }),
      onEvent: (event) => {
        run.note(event);
        printer.event(event);
      },
    });
    if (output instanceof Writable) await flushed(output);
    printer.close();
    if (request.report !== undefined) writeReport(request.report, report, run.hide);
    return EXIT.done;
  } catch (error) {
    return run.failed(error, printer);
  } finally {
    printer.close();
    run.close();
  }
}

/** One call of `get`: its streams, what came so far, and how its end is told. */
class Run {
  readonly #request: GetRequest;
  readonly #around: Surroundings;
  readonly #toStdout: boolean;
  readonly hide: Hide;
  /** Sources at first. */
  #sources: number;
  #readerGone = false;
  #came = 0;
  #size = 0;

  constructor(request: GetRequest, around: Surroundings) {
    this.#request = request;
    this.#around = around;
    this.#toStdout = request.output === '-';
    this.#sources = request.sources.length;
    const { headers = {} } = request.download;
    this.hide = hideSecrets(typeof headers === 'function' ? headers() : headers);
    around.stdout.on('error', this.#outputFailed);
  }

  close(): void {
    this.#around.stdout.off('error', this.#outputFailed);
  }

  /** Where progress and report go. */
  get #stream(): PrintStream {
    return this.#toStdout ? this.#around.stderr : this.#around.stdout;
  }

  get drawsInPlace(): boolean {
    const dumb = process.env['TERM'] === 'dumb';
    return this.#request.print === 'progress' && this.#stream.isTTY === true && !dumb;
  }

  async printer(): Promise<Printer> {
    const { print, sources } = this.#request;
    if (print === 'nothing') return silentPrinter;
    if (print === 'json') return jsonPrinter(this.#stream, this.hide);
    const number = (): number => this.#sources;
    if (!this.drawsInPlace) return linePrinter(this.#stream, number, this.hide);
    const { openScreen } = await import('./print/screen.ts');
    const told = { urls: sources, number, now: () => performance.now() };
    return terminalPrinter(this.#stream, openScreen(this.#stream), told, this.hide);
  }

  /** The fleet has said who has the file. */
  granted(sources: number): void {
    this.#sources = sources;
  }

  openOutput(): Writable {
    const output = this.#around.openOutput();
    output.on('error', this.#outputFailed);
    return output;
  }

  note(event: DownloadEvent): void {
    if (event.event === 'start') this.#came = event.resumedBytes;
    if (event.event === 'progress') this.#came = event.bytes;
    if (event.event === 'start' || event.event === 'progress') this.#size = event.size;
  }

  /** Tells how it ended, and gives the exit status. */
  failed(error: unknown, printer: Printer): number {
    printer.failed(error);
    if (this.#readerGone) return EXIT.pipe;
    const interrupted = this.#around.interrupts.signal.aborted;
    const told = interrupted ? this.#stopped(error) : error;
    if (interrupted && this.drawsInPlace) this.#stream.write(RUB_OUT_ECHO);
    this.#say(errorLine(told));
    const code = told instanceof HeadwaterError ? told.code : 'HW_INTERNAL';
    if (RESUMABLE.includes(code) && this.#mayGoOn(told)) this.#sayHowToGoOn();
    return exitStatus(told);
  }

  #stopped(cause: unknown): HeadwaterError {
    const bytes = keptBytes(cause);
    let kept = `${size(bytes ?? 0)} of ${size(this.#size)} are kept`;
    if (bytes === undefined) kept = 'what is there is kept';
    if (this.#toStdout || bytes === 0) kept = 'nothing is kept';
    return new HeadwaterError('HW_INTERRUPTED', `stopped; ${kept}`, { cause, details: { keptBytes: bytes } });
  }

  /** There is, or can be, something to go on from. */
  #mayGoOn(error: unknown): boolean {
    return !this.#toStdout && (keptBytes(error) ?? this.#came) > 0;
  }

  /** A terminal has seen what was typed; a log shall not keep the secrets in it. */
  #sayHowToGoOn(): void {
    const { argv, stderr } = this.#around;
    const name = programName(process.argv[1] ?? 'headwater', process.env['PATH'] ?? '', process.cwd());
    const shown = stderr.isTTY === true ? argv : argv.map(this.hide);
    const whole = shown.every((each, at) => each === argv[at]);
    const note = whole ? '' : '\n(what is shown as *** here was left out)';
    stderr.write(`go on with: ${resumeCommand(name, shown)}${note}\n`);
  }

  #say(line: string): void {
    this.#around.stderr.write(`${this.hide(line)}\n`);
  }

  /** Nobody reads what we print or send any more: nothing more to do, and nobody to tell. */
  readonly #outputFailed = (error: NodeJS.ErrnoException): void => {
    if (error.code !== 'EPIPE') return;
    this.#readerGone = true;
    this.#around.interrupts.stop(new HeadwaterError('HW_INTERRUPTED', 'nobody reads the output any more'));
  };
}

/** What the error says is kept, where it says it. */
function keptBytes(error: unknown): number | undefined {
  const bytes = error instanceof HeadwaterError ? error.details['keptBytes'] : undefined;
  return typeof bytes === 'number' ? bytes : undefined;
}

/** What was written before has been handed to the system; rejects when it could not be. */
function flushed(output: Writable): Promise<void> {
  return new Promise((resolve, reject) => {
    output.write('', (error) => (error ? reject(error) : resolve()));
  });
}

function writeReport(path: string, report: DownloadReport, hide: Hide): void {
  const text = JSON.stringify(
    report,
    (_, each: unknown) => (typeof each === 'string' ? hide(each) : each),
    2,
  );
  try {
    writeFileSync(path, `${text}\n`);
  } catch (cause) {
    throw new HeadwaterError(
      'HW_DISK',
      `the file is complete, but its report cannot be written to ${path}: ${cause instanceof Error ? cause.message : ''}`,
      { cause },
    );
  }
}
