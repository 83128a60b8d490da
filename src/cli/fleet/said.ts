import { oneLine } from '../print/plain-text.ts';

/** What every command that calls the fleet takes. */
export interface Said {
  readonly json?: true;
}

/** Prints one thing: an object for programs, a sentence for people. */
export function say({ json }: Said, value: object, sentence: string): void {
  process.stdout.write(`${json === true ? JSON.stringify(value) : oneLine(sentence)}\n`);
}

/** One object a line. */
export function sayEach(values: readonly object[]): void {
  for (const value of values) process.stdout.write(`${JSON.stringify(value)}\n`);
}

export function sayLines(lines: readonly string[]): void {
  process.stdout.write(`${lines.join('\n')}\n`);
}
