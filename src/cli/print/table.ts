import { paintFor } from './paint.ts';
import { oneLine } from './plain-text.ts';
import type { PrintStream } from './printer.ts';

export interface TableColumn<T> {
  readonly heading: string;
  /** What a server says is made safe for a terminal here. */
  readonly cell: (entry: T) => string;
  /** Numbers stand at the right. */
  readonly align?: 'left' | 'right';
  /** Colours the padded cell. */
  readonly paint?: (text: string, entry: T) => string;
}

/** Two spaces between columns; every column as wide as its widest cell. The last one is not filled up. */
export function tableLines<T>(
  entries: readonly T[],
  columns: readonly TableColumn<T>[],
  stream: PrintStream,
): string[] {
  const paint = paintFor(stream);
  const cells = entries.map((entry) => columns.map(({ cell }) => oneLine(cell(entry))));
  const widths = columns.map(({ heading }, at) =>
    Math.max(heading.length, ...cells.map((row) => width(row[at] ?? ''))),
  );
  const padded = (text: string, at: number): string => {
    const room = ' '.repeat(Math.max(0, (widths[at] ?? 0) - width(text)));
    if (columns[at]?.align === 'right') return room + text;
    return at === columns.length - 1 ? text : text + room;
  };
  const heading = columns.map(({ heading }, at) => padded(heading, at)).join('  ');
  const rows = cells.map((row, index) => {
    const entry = entries[index];
    return row
      .map((text, at) => {
        const whole = padded(text, at);
        const { paint: own } = columns[at] ?? {};
        return own === undefined || entry === undefined ? whole : own(whole, entry);
      })
      .join('  ')
      .trimEnd();
  });
  return [paint('dim', heading.trimEnd()), ...rows];
}

const LETTERS = new Intl.Segmenter();

/** Columns, as far as letters are one column wide. */
function width(text: string): number {
  return /^[ -~]*$/.test(text) ? text.length : Array.from(LETTERS.segment(text)).length;
}
