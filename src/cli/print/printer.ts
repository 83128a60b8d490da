import type { DownloadEvent } from '../../client/types.ts';

/** Shows a download, or something else that goes on, to somebody. One kind for a terminal, one for a log, one for programs. */
export interface Printer<Event = DownloadEvent> {
  event(event: Event): void;
  /** It has ended other than well; the message itself goes to standard error elsewhere. */
  failed(error: unknown): void;
  /** Leaves the screen as a finished picture, once, before anything else is printed. */
  close(): void;
}

/** Where a printer prints: standard output, or standard error while the file itself goes to standard output. */
export interface PrintStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
  hasColors?(): boolean;
  on?(event: 'resize', listener: () => void): unknown;
  off?(event: 'resize', listener: () => void): unknown;
}

/** Prints nothing: `--quiet`. */
export const silentPrinter: Printer<unknown> = {
  event: () => undefined,
  failed: () => undefined,
  close: () => undefined,
};
