import type { DownloadReport, SourceReport, Verification } from '../../client/types.ts';
import { count, percentOf, rate, size, spell } from './amounts.ts';
import type { Paint } from './paint.ts';
import { oneLine } from './plain-text.ts';
import { sourceLabel } from './source-label.ts';
import { wrapWords } from './wrap-words.ts';

/** For `none` a notice has said so already. */
const VERIFIED: Partial<Record<Verification, string>> = {
  chunks: 'Every chunk matched its digest.',
  sha256: 'The whole matched its SHA-256.',
};

/** Widest a source is shown, columns. */
const SOURCE_WIDTH = 44;
/** Below this connections are left out, so that sources can be told apart. */
const NARROW = 72;

/** Who sent what, in words and one table; no line is longer than `columns` where that can be helped. */
export function reportText(report: DownloadReport, columns: number, paint: Paint): string {
  const fetched = report.size - report.resumedBytes;
  const name = report.output === '-' ? 'standard output' : oneLine(report.output);
  const headline = `${name}: ${size(report.size)} in ${spell(report.seconds)}, ${rate(report.rate)} on average.`;
  const verified = VERIFIED[report.verified];
  const lines = [
    paint('bold', wrapWords(headline, columns - 1)),
    ...(verified === undefined ? [] : [paint('green', verified)]),
    ...(report.sha256 === undefined ? [] : [`SHA-256 ${report.sha256}`]),
    '',
    ...sourceTable(report.sources, columns, paint),
    '',
    wrapWords(oddities(report, fetched), columns - 1),
  ];
  return lines.join('\n').trimEnd();
}

interface Column {
  readonly heading: string;
  readonly cell: (source: SourceReport) => string;
}

const SENT: Column = { heading: 'sent', cell: ({ bytes }) => size(bytes) };
const SHARE: Column = { heading: 'share', cell: ({ share }) => percentOf(share) };
const RATE: Column = { heading: 'rate', cell: (source) => (source.bytes === 0 ? '-' : rate(source.rate)) };
const CONNECTIONS: Column = { heading: 'conns', cell: ({ connections }) => String(connections) };
const FAILURES: Column = { heading: 'fails', cell: ({ failures }) => String(failures) };

function sourceTable(sources: readonly SourceReport[], columns: number, paint: Paint): string[] {
  const shown = columns < NARROW ? [SENT, SHARE, RATE, FAILURES] : [SENT, SHARE, RATE, CONNECTIONS, FAILURES];
  const numbers = shown.map(({ heading, cell }) => {
    const cells = [heading, ...sources.map(cell)];
    const width = Math.max(...cells.map(({ length }) => length));
    return cells.map((text) => text.padStart(width));
  });
  const row = (at: number): string => numbers.map((cells) => `  ${cells[at]}`).join('');
  const idWidth = String(sources.length).length;
  const room = Math.min(SOURCE_WIDTH, columns - 1 - row(0).length - idWidth - 4);
  const longest = Math.max(...sources.map((source) => sourceLabel(source, SOURCE_WIDTH).length));
  const labelWidth = Math.max(10, Math.min(longest, room));
  const table = [paint('dim', `  ${'source'.padEnd(idWidth + 2 + labelWidth)}${row(0)}`)];
  for (const [at, source] of sources.entries()) {
    const label = sourceLabel(source, labelWidth).padEnd(labelWidth);
    table.push(`  ${String(source.id).padStart(idWidth)}  ${label}${row(at + 1)}`);
  }
  for (const { id, ban, badChunks } of sources) {
    if (ban === undefined) continue;
    const chunks = badChunks > 0 ? ` (${count(badChunks, 'wrong chunk')})` : '';
    const dropped = `  source ${id} was dropped: ${oneLine(ban.message)}${chunks}`;
    table.push(paint('red', wrapWords(dropped, columns - 1)));
  }
  return table;
}

function oddities({ resumedBytes, wastedBytes, tailSeconds }: DownloadReport, fetched: number): string {
  const resumed =
    resumedBytes > 0 ? `${size(resumedBytes)} were here before, ${size(fetched)} came now; ` : '';
  const wasted = `${size(wastedBytes)} came in vain`;
  return `${resumed}${wasted}; the last ${spell(tailSeconds)} had a source with nothing left to do.`;
}
