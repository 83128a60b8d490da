import { createInterface, type Interface } from 'node:readline';
import { Writable } from 'node:stream';

/** Where the operator types: a terminal, a pipe, a file. */
export interface ConsoleInput extends NodeJS.ReadableStream {
  readonly isTTY?: boolean;
}

export interface ConsoleListener {
  readonly onLine: (line: string) => void;
  /** The operator is typing; only on a terminal. */
  readonly onTyping: (line: string) => void;
  /** Ctrl-C, which a terminal whose keys are read one by one does not turn into a signal. */
  readonly onInterrupt: () => void;
}

/**
 * Reads lines. On a terminal what is typed is not echoed by it but told key by key, so that it can be drawn below a
 * table that is redrawn all the time. The end of the input is not the end of serving.
 */
export class OperatorConsole {
  readonly #lines: Interface;
  readonly #input: ConsoleInput;

  /** `drawn`: what is typed is drawn by the caller. */
  constructor(input: ConsoleInput, drawn: boolean, listener: ConsoleListener) {
    this.#input = input;
    const inPlace = drawn && input.isTTY === true;
    if (inPlace) bearLostTerminal(input);
    const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
    this.#lines = inPlace
      ? createInterface({ input, output: nowhere, terminal: true, historySize: 20 })
      : createInterface({ input, terminal: false });
    this.#lines.on('line', listener.onLine);
    this.#lines.on('SIGINT', listener.onInterrupt);
    // A terminal that is gone, or an input that was closed before: there is nobody to give commands.
    input.on('error', () => undefined);
    // After the interface's own listener, which brings its line up to date.
    if (inPlace) input.on('keypress', () => listener.onTyping(this.#lines.line));
  }

  /** Gives the terminal back. */
  close(): void {
    this.#lines.close();
    this.#input.pause();
    // A pipe whose other end stays open would keep the process.
    if ('unref' in this.#input && typeof this.#input.unref === 'function') this.#input.unref();
  }
}

/**
 * When its window is closed, readline sets a terminal that is gone back to reading lines, and what that throws nobody could
 * catch: it would end the process in the middle of stopping for SIGHUP.
 */
function bearLostTerminal(input: ConsoleInput): void {
  if (!('setRawMode' in input) || typeof input.setRawMode !== 'function') return;
  const setRawMode = input.setRawMode.bind(input) as (raw: boolean) => unknown;
  input.setRawMode = (raw: boolean) => {
    try {
      setRawMode(raw);
    } catch {
      // Gone: there is nothing to set.
    }
    return input;
  };
}
