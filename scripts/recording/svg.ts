import { type Piece, piecesOf } from './terminal-cells.ts';

/** What a terminal showed from a time on. */
export interface Frame {
  /** Seconds since the first frame. */
  readonly at: number;
  /** Lines with escapes, as tmux prints them. */
  readonly lines: readonly string[];
}

const CELL = { width: 8.4, height: 18 };
const MARGIN = 14;
/** Seconds that the last picture stays before it begins again. */
const REST = 5;

/**
 * A recording as one picture that moves by itself. Where animations are not shown it is still: the frame at `still`.
 *
 * @param still seconds
 */
export function recordingSvg(frames: readonly Frame[], columns: number, rows: number, still: number): string {
  const length = (frames.at(-1)?.at ?? 0) + REST;
  const width = Math.ceil(columns * CELL.width + 2 * MARGIN);
  const height = rows * CELL.height + 2 * MARGIN;
  const animations = new Map<string, string>();
  const texts: string[] = [];
  for (let row = 0; row < rows; row++) {
    for (const { line, from, to } of spansOf(frames, row, length)) {
      const drawn = piecesOf(line).map((piece) => pieceSvg(piece, row));
      if (drawn.length === 0) continue;
      if (from === 0 && to === length) {
        texts.push(...drawn);
        continue;
      }
      const key = `${part(from, length)} ${part(to, length)}`;
      const name = animations.get(key) ?? `f${animations.size}`;
      animations.set(key, name);
      const shown = from <= still && still < to ? ' class="s"' : '';
      texts.push(`<g${shown} style="animation-name:${name}">${drawn.join('')}</g>`);
    }
  }
  const keyframes = [...animations].map(([key, name]) => {
    const [from = '0', to = '100'] = key.split(' ');
    const before = from === '0' ? '' : '0%{opacity:0}';
    const after = to === '100' ? '' : `${to}%{opacity:0}`;
    return `@keyframes ${name}{${before}${from}%{opacity:1}${after}}`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" xml:space="preserve" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="A terminal: a file is downloaded from four servers, one of them is killed on the way">
<style>
text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#d0d7de;white-space:pre}
.green{fill:#3fb950}.yellow{fill:#d29922}.red{fill:#f85149}.dim{fill:#7d8590}.bold{font-weight:bold}
g{opacity:0;animation:${length.toFixed(1)}s step-end infinite}g.s{opacity:1}
${keyframes.join('\n')}
</style>
<rect width="${width}" height="${height}" rx="8" fill="#0d1117"/>
${texts.join('\n')}
</svg>
`;
}

/** What stood on one row, and from when to when. */
function* spansOf(
  frames: readonly Frame[],
  row: number,
  length: number,
): Generator<{ line: string; from: number; to: number }> {
  let from = 0;
  let line = '';
  for (const frame of frames) {
    const now = frame.lines[row] ?? '';
    if (now === line) continue;
    if (line !== '' && frame.at > from) yield { line, from, to: frame.at };
    from = frame.at;
    line = now;
  }
  if (line !== '') yield { line, from, to: length };
}

function part(seconds: number, length: number): string {
  return String(Number(((seconds / length) * 100).toFixed(2)));
}

/** Every piece stands in its own column and is as wide as its cells, whatever the font. */
function pieceSvg({ column, text, styles }: Piece, row: number): string {
  const start = text.length - text.trimStart().length;
  const shown = text.trim();
  const x = MARGIN + (column + start) * CELL.width;
  const y = MARGIN + row * CELL.height + 13;
  const kind = styles.length === 0 ? '' : ` class="${styles.join(' ')}"`;
  const wide = (Array.from(shown).length * CELL.width).toFixed(1);
  return `<text x="${x.toFixed(1)}" y="${y}" textLength="${wide}"${kind}>${escaped(shown)}</text>`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
