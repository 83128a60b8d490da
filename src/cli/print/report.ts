import type { DownloadReport, SourceReport, Verification } from '../../client/types.ts';
import { count, percentOf, rate, size, spell } from './amounts.ts';
import type { Paint } from './paint.ts';
import { oneLine } from './plain-text.ts';
import { shortUrl } from './short-url.ts';

/** For `none` a notice has said so already. */
const VERIFIED: Partial<Record<Verification, string>> = {
  chunks: 'Every chunk matched its digest.',
  sha256: 'The whole matched its SHA-256.',
};

/** Widest a source is shown, columns. */
const SOURCE_WIDTH = 44;
/** Below this the columns stand closer together. */
const NARROW = 72;

/** Who sent what, in words and one table; no line is longer than `columns` where that can be helped. */
export function reportText(report: DownloadReport, columns: number, paint: Paint): string {
  const fetched = report.size - report.resumedBytes;
  const { output } = report;
  const verified = VERIFIED[report.verified];
  const lines = [
    `${paint('bold', output === '-' ? 'standard output' : oneLine(output))}: ${size(report.size)} in ${spell(report.seconds)}, ${rate(report.rate)} on average.`,
    ...(verified === undefined ? [] : [paint('green', verified)]),
    ...(report.sha256 === undefined ? [] : [`SHA-256 ${report.sha256}`]),
    '',
    ...sourceTable(report.sources, columns, paint),
    '',
    ...oddities(report, fetched),
  ];
  return lines.join('\n').trimEnd();
}

const HEADINGS = ['source', 'sent', 'share', 'rate', 'conns', 'fails'] as const;

function sourceTable(sources: readonly SourceReport[], columns: number, paint: Paint): string[] {
  const idWidth = String(sources.length).length;
  const cells = sources.map((each) => [
    size(each.bytes),
    percentOf(each.share),
    each.bytes === 0 ? '-' : rate(each.rate),
    String(each.connections),
    String(each.failures),
  ]);
  const [first, ...others] = HEADINGS;
  const widths = others.map((name, at) => Math.max(name.length, ...cells.map((row) => row[at]?.length ?? 0)));
  const gap = ' '.repeat(columns < NARROW ? 1 : 2);
  const numbers = widths.reduce((sum, width) => sum + width + gap.length, 0);
  const labelWidth = Math.max(10, Math.min(SOURCE_WIDTH, columns - 1 - numbers - idWidth - 4));
  const line = (label: string, row: readonly string[]): string =>
    `${label.padEnd(labelWidth + idWidth + 4)}${row.map((cell, at) => `${gap}${cell.padStart(widths[at] ?? 0)}`).join('')}`;
  const table = [paint('dim', line(`  ${first}`, others))];
  for (const [at, source] of sources.entries()) {
    const label = `  ${String(source.id).padStart(idWidth)}  ${shortUrl(source.url, labelWidth)}`;
    table.push(line(label, cells[at] ?? []));
  }
  for (const { id, ban, badChunks } of sources) {
    if (ban === undefined) continue;
    const chunks = badChunks > 0 ? ` (${count(badChunks, 'wrong chunk')})` : '';
    table.push(paint('red', `  source ${id} was dropped: ${oneLine(ban.message)}${chunks}`));
  }
  return table;
}

function oddities({ resumedBytes, wastedBytes, tailSeconds }: DownloadReport, fetched: number): string[] {
  const resumed =
    resumedBytes > 0 ? `${size(resumedBytes)} were here before, ${size(fetched)} came now; ` : '';
  const wasted = `${size(wastedBytes)} came in vain`;
  return [`${resumed}${wasted}; the last ${spell(tailSeconds)} had a source with nothing left to do.`];
}
