import type { SourceState } from '../../client/types.ts';
import { clock, count, percentDone, percentOf, rate, size, steadySize } from './amounts.ts';
import type { DownloadView, SourceRow } from './download-view.ts';
import type { Paint, Style } from './paint.ts';
import { shortReason } from './reason.ts';
import { sourceLabel } from './source-label.ts';

/** Narrowest terminal that everything is laid out for, columns. */
export const LEAST_WIDTH = 60;
/** From here on there is room for connections and for longer words, columns. */
const WIDE = 80;

export interface FrameSettings {
  /** Columns and rows of the terminal. */
  readonly columns: number;
  readonly rows: number;
  /** Whether block characters can be shown. */
  readonly unicode: boolean;
  readonly paint: Paint;
}

const STATE_STYLE: Record<SourceState, Style> = {
  probing: 'dim',
  running: 'green',
  waiting: 'yellow',
  banned: 'red',
};
const STATE_WIDTH = 7;
const SHARE_WIDTH = 5;
const RATE_WIDTH = 10;

/**
 * The lines of a download as a terminal shows it now: one for each source, as many as fit, and one for the whole.
 * No line is as wide as the terminal, so that none wraps.
 */
export function frame(view: DownloadView, settings: FrameSettings): string[] {
  const width = Math.max(20, settings.columns - 1);
  const room = Math.max(1, settings.rows - 2);
  const rows = view.rows;
  const shown = rows.length <= room ? rows : mostTelling(rows, Math.max(0, room - 1));
  const idWidth = String(rows.length).length;
  const lastWidth = settings.columns >= WIDE ? 26 : 12;
  const others = 2 + idWidth + 2 + 2 + STATE_WIDTH + 1 + SHARE_WIDTH + 2 + lastWidth;
  const longest = Math.max(...shown.map((row) => sourceLabel(row, width).length));
  const labelWidth = Math.max(1, Math.min(longest, width - others));
  const widths = { id: idWidth, label: labelWidth, last: lastWidth };
  const lines = shown.map((row) => sourceLine(row, view.now, widths, settings));
  const rest = rows.filter((row) => !shown.includes(row));
  if (rest.length > 0) lines.push(moreLine(rest, width, settings));
  lines.push(totalLine(view, width, settings));
  return lines;
}

const RANK: Record<SourceState, number> = { running: 0, waiting: 1, probing: 2, banned: 3 };

/** Those that send before those that do not, in the order they were given. */
function mostTelling(rows: readonly SourceRow[], number: number): SourceRow[] {
  const ranked = rows.toSorted((a, b) => RANK[a.state] - RANK[b.state] || a.id - b.id);
  return ranked.slice(0, number).sort((a, b) => a.id - b.id);
}

interface Widths {
  readonly id: number;
  readonly label: number;
  readonly last: number;
}

function sourceLine(row: SourceRow, now: number, widths: Widths, settings: FrameSettings): string {
  const { paint, unicode } = settings;
  const id = String(row.id).padStart(widths.id);
  const label = sourceLabel(row, widths.label, unicode ? '…' : '~').padEnd(widths.label);
  const state = paint(STATE_STYLE[row.state], row.state.padEnd(STATE_WIDTH));
  const share = (row.state === 'probing' ? '' : percentOf(row.share)).padStart(SHARE_WIDTH);
  return `  ${id}  ${label}  ${state} ${share}  ${lastColumn(row, now, widths.last, settings)}`;
}

/** The rate of a source that sends; of another why, and when it is asked again. */
function lastColumn(row: SourceRow, now: number, width: number, { paint, unicode }: FrameSettings): string {
  if (row.state === 'probing') return '';
  if (row.state === 'running') {
    const sends = rate(row.rate).padStart(RATE_WIDTH);
    const connections = `${unicode ? '×' : 'x'}${row.connections}`;
    return width >= 20 && row.connections > 0 ? `${sends}  ${paint('dim', connections)}` : sends;
  }
  const why = shortReason(row.code);
  const left = row.retryAt === undefined ? '' : clock((row.retryAt - now) / 1000);
  const both = left === '' ? why : why === '' ? `again in ${left}` : `${why}, again in ${left}`;
  return paint('dim', (both.length <= width ? both : left === '' ? why : `in ${left}`).slice(0, width));
}

function moreLine(rest: readonly SourceRow[], width: number, { unicode, paint }: FrameSettings): string {
  const tally = (['running', 'waiting', 'banned', 'probing'] as const)
    .map((state) => ({ state, number: rest.filter((row) => row.state === state).length }))
    .filter(({ number }) => number > 0)
    .map(({ state, number }) => `${number} ${state}`);
  const together = rate(rest.reduce((sum, row) => sum + row.rate, 0));
  const text = `  ${unicode ? '…' : '...'} ${count(rest.length, 'more', 'more')}: ${tally.join(', ')}; ${together}`;
  return paint('dim', text.slice(0, width));
}

function totalLine(view: DownloadView, width: number, settings: FrameSettings): string {
  const { columns, paint } = settings;
  if (!view.started) return paint('dim', '  asking the sources'.slice(0, width));
  const done = view.size === 0 ? 1 : view.bytes / view.size;
  const left = view.secondsLeft === undefined ? 'waiting' : `${clock(view.secondsLeft)} left`;
  const amounts = columns >= WIDE ? `  ${steadySize(view.bytes).padStart(8)} of ${size(view.size)}` : '';
  const tail = `  ${percentDone(done).padStart(5)}${amounts}  ${rate(view.rate).padStart(RATE_WIDTH)}  ${left.padEnd(12)}`;
  const room = Math.max(4, width - 2 - tail.length);
  return `  ${bar(done, room, settings)}${paint('bold', tail.trimEnd())}`;
}

/** A heavy line for what is here, a light one for what is missing; `#` and `-` where there are no such characters. */
function bar(done: number, width: number, { unicode, paint }: FrameSettings): string {
  const halves = Math.floor(Math.min(1, Math.max(0, done)) * width * 2);
  const whole = Math.floor(halves / 2);
  if (!unicode) return '#'.repeat(whole) + '-'.repeat(width - whole);
  const here = '━'.repeat(whole) + (halves % 2 === 1 ? '╸' : '');
  return paint('green', here) + paint('dim', '─'.repeat(width - here.length));
}
