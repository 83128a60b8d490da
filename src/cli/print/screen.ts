import { stripVTControlCharacters } from 'node:util';

import { createLogUpdate } from 'log-update';

import type { PrintStream } from './printer.ts';

/** The last lines of a terminal, which change in place, below lines that stay. */
export interface Screen {
  draw(lines: readonly string[]): void;
  /** Prints a text that stays, above the lines that change. */
  above(text: string): void;
  /** What is drawn stays, or goes; the cursor comes back below it. */
  leave(how: 'keep' | 'clear'): void;
}

/**
 * A narrower window makes the terminal break the lines drawn before, so that they take more rows than log-update
 * knows of; `rubOut` counts them anew and leaves log-update with an empty screen.
 */
export function openScreen(stream: PrintStream): Screen {
  // All that log-update asks of a stream is in PrintStream.
  const log = createLogUpdate(stream as NodeJS.WriteStream);
  let drawn: readonly string[] = [];
  const rubOut = (): void => {
    const { columns = 80 } = stream;
    const rows = drawn.reduce((sum, line) => sum + Math.max(1, Math.ceil(visible(line) / columns)), 0);
    if (rows > 0) stream.write(`\u001B[${rows}A\r\u001B[J`);
    drawn = [];
    log.done();
  };
  stream.on?.('resize', rubOut);
  return {
    draw(lines) {
      log(lines.join('\n'));
      drawn = lines;
    },
    above(text) {
      log.persist(text);
      log(drawn.join('\n'));
    },
    leave(how) {
      stream.off?.('resize', rubOut);
      if (how === 'clear') log.clear();
      log.done();
    },
  };
}

function visible(line: string): number {
  return stripVTControlCharacters(line).length;
}
