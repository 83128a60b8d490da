import { GIB, cpuPerGiB, type BarResult, type BenchResult, type SceneResult } from './results.ts';

type Cells = readonly string[];

/** Lines of text with columns under each other; columns named in `right` are set to the right. */
export function textTable(
  head: Cells,
  rows: readonly Cells[],
  right: ReadonlySet<number> = new Set(),
): string {
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)));
  const line = (row: Cells): string =>
    widths
      .map((width, column) => {
        const cell = row[column] ?? '';
        return right.has(column) ? cell.padStart(width) : cell.padEnd(width);
      })
      .join('  ')
      .trimEnd();
  return [line(head), widths.map((width) => '-'.repeat(width)).join('  '), ...rows.map(line)].join('\n');
}

/** The same as a Markdown table. */
export function markdownTable(
  head: Cells,
  rows: readonly Cells[],
  right: ReadonlySet<number> = new Set(),
): string {
  const line = (row: Cells): string => `| ${row.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  const rule = head.map((_, column) => (right.has(column) ? '---:' : '---'));
  return [line(head), line(rule), ...rows.map(line)].join('\n');
}

export const BAR_HEAD: Cells = ['work', 'measured', 'rounds', 'against', 'bar', ''];
export const BAR_RIGHT: ReadonlySet<number> = new Set([1, 4]);

/** A row for each bar; what was told for comparison has no verdict. */
export function barRows(bars: readonly BarResult[]): string[][] {
  return bars.map((bar) => [
    bar.work,
    amount(bar.value, bar.unit),
    `${digits(bar.spread.low, bar.unit)}–${digits(bar.spread.high, bar.unit)}`,
    bar.text,
    bar.aside ? '' : `${bar.demand === 'least' ? '≥' : '≤'} ${amount(bar.bound, bar.unit)}`,
    bar.aside ? 'for comparison' : bar.reached ? 'reached' : 'missed',
  ]);
}

export const CONTESTANT_HEAD: Cells = [
  'program',
  'seconds',
  'rounds',
  'GiB/s',
  'CPU s/GiB',
  'memory MB',
  'runs',
];
export const CONTESTANT_RIGHT: ReadonlySet<number> = new Set([1, 3, 4, 5]);

/** A row for each program of a scene: the medians of its runs. */
export function contestantRows(scene: SceneResult): string[][] {
  return scene.contestants.map(({ label, median, seconds, samples, failures }) => [
    label,
    known(median.seconds, 2),
    `${known(seconds.low, 2)}–${known(seconds.high, 2)}`,
    known(median.bytes / GIB / median.seconds, median.seconds > 4 ? 3 : 2),
    known(cpuPerGiB(median), 2),
    known(median.memory / 1e6, 0),
    failures === 0 ? String(samples.length) : `${samples.length}, ${failures} failed`,
  ]);
}

/** Everything a run found, for a terminal. */
export function report(result: BenchResult): string {
  const scenes = result.scenes.map((scene) =>
    [
      scene.title,
      textTable(CONTESTANT_HEAD, contestantRows(scene), CONTESTANT_RIGHT),
      ...scene.notes.map((note) => `  ${note}`),
    ].join('\n'),
  );
  const bars = result.scenes.flatMap((scene) => scene.bars);
  const left = result.leftOut.map(({ row, why }) => `left out: ${row} (${why})`);
  const verdicts = bars.length === 0 ? [] : [textTable(BAR_HEAD, barRows(bars), BAR_RIGHT)];
  return [...scenes, ...verdicts, ...left].join('\n\n');
}

function amount(value: number, unit: BarResult['unit']): string {
  return `${digits(value, unit)}${{ x: ' ×', 'GiB/s': ' GiB/s', MB: ' MB', '/s': '/s', ms: ' ms', µs: ' µs' }[unit]}`;
}

function digits(value: number, unit: BarResult['unit']): string {
  return known(value, { x: 2, 'GiB/s': 2, MB: 0, '/s': 0, ms: 1, µs: 1 }[unit]);
}

function known(value: number, decimals: number): string {
  return Number.isFinite(value) ? value.toFixed(decimals) : '–';
}
