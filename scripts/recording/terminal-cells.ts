/** A run of characters of one style on one line of a terminal. */
export interface Piece {
  /** Column of the first character, from 0. */
  readonly column: number;
  readonly text: string;
  /** Style names, such as "green" and "bold". */
  readonly styles: readonly string[];
}

const COLOURS = ['black', 'red', 'green', 'yellow', 'blue', 'magenta', 'cyan', 'white'];

/** Takes a line apart that `tmux capture-pane -e` printed: text with SGR escapes (ECMA-48, section 8.3.117). */
export function piecesOf(line: string): Piece[] {
  const pieces: Piece[] = [];
  let styles: string[] = [];
  let column = 0;
  for (const [index, part] of line.split('\u001B[').entries()) {
    const end = index === 0 ? -1 : part.indexOf('m');
    if (index > 0) for (const code of part.slice(0, end).split(';')) styles = styled(styles, Number(code));
    const text = part.slice(end + 1);
    const length = Array.from(text).length;
    if (text.trim() !== '') pieces.push({ column, text, styles });
    column += length;
  }
  return pieces;
}

function styled(styles: readonly string[], code: number): string[] {
  if (code === 1) return [...styles, 'bold'];
  if (code === 2) return [...styles, 'dim'];
  if (code === 22) return styles.filter((each) => each !== 'bold' && each !== 'dim');
  if (code === 39) return styles.filter((each) => !COLOURS.includes(each));
  const colour = COLOURS[code >= 90 ? code - 90 : code - 30];
  if (colour !== undefined) return [...styles.filter((each) => !COLOURS.includes(each)), colour];
  return code === 0 ? [] : [...styles];
}
