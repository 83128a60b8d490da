import type { DownloadEvent, ProgressEvent } from '../../client/types.ts';
import type { Hide } from '../secrets.ts';
import { clock, percentDone, percentOf, rate, size, spell } from './amounts.ts';
import { paintFor } from './paint.ts';
import type { Printer, PrintStream } from './printer.ts';
import { reportText } from './report.ts';
import { noticeSentence, sourceSentence, startSentence } from './sentences.ts';
import { sourceLabel } from './source-label.ts';

/** Columns that reports and labels are laid out for where there is no terminal to ask. */
const COLUMNS = 100;
const LABEL_WIDTH = 40;

/** For logs and pipes: a line per source and a total at every interval, and a line for everything else. */
export function linePrinter(stream: PrintStream, sources: () => number, hide: Hide): Printer {
  const print = (text: string): void => void stream.write(`${hide(text)}\n`);
  return {
    event(event: DownloadEvent) {
      switch (event.event) {
        case 'start':
          print(startSentence(event, sources()));
          break;
        case 'source':
          if (event.state === 'waiting' || event.state === 'banned') print(sourceSentence(event));
          break;
        case 'progress':
          print(progressLines(event));
          break;
        case 'notice':
          print(noticeSentence(event));
          break;
        case 'done':
          print(reportText(event, COLUMNS, paintFor(stream)));
          break;
      }
    },
    failed: () => undefined,
    close: () => undefined,
  };
}

function progressLines({
  seconds,
  bytes,
  size: all,
  rate: now,
  secondsLeft,
  sources,
}: ProgressEvent): string {
  const idWidth = String(sources.length).length;
  const lines = sources.map(
    ({ id, state, share, rate: own, ...source }) =>
      `  ${String(id).padStart(idWidth)}  ${sourceLabel(source, LABEL_WIDTH).padEnd(LABEL_WIDTH)}  ${state.padEnd(7)}  ${percentOf(share).padStart(5)}  ${rate(own)}`,
  );
  const left = secondsLeft === undefined ? '' : `, ${clock(secondsLeft)} left`;
  const done = all === 0 ? 1 : bytes / all;
  lines.push(`${spell(seconds)}: ${percentDone(done)}, ${size(bytes)} of ${size(all)}, ${rate(now)}${left}`);
  return lines.join('\n');
}
