import type { UploadEvent, UploadProgressEvent } from '../../client/upload/types.ts';
import { clock, percentDone, percentOf, rate, size, spell } from './amounts.ts';
import { oneLine } from './plain-text.ts';
import type { Printer, PrintStream } from './printer.ts';
import { putDoneSentence, putStartSentence, readingSentence, storeSentence } from './put-sentences.ts';
import { sourceLabel } from './source-label.ts';

const LABEL_WIDTH = 40;

/** For logs and pipes: a line per server and a total at every interval, and a line for everything else. */
export function putLinePrinter(stream: PrintStream): Printer<UploadEvent> {
  const print = (text: string): void => void stream.write(`${text}\n`);
  return {
    event(event) {
      switch (event.event) {
        case 'reading':
          return print(readingSentence(event.bytes));
        case 'start':
          return print(putStartSentence(event));
        case 'server':
          return print(storeSentence(event));
        case 'progress':
          // Where it is over before anybody could read it, the last line says all.
          return event.seconds < 1 ? undefined : print(progressLines(event));
        case 'notice':
          return print(`note: ${oneLine(event.message)}`);
        case 'done':
          return print(putDoneSentence(event));
      }
    },
    failed: () => undefined,
    close: () => undefined,
  };
}

function progressLines(event: UploadProgressEvent): string {
  const { seconds, bytes, size: all, rate: now, secondsLeft, servers } = event;
  const idWidth = String(servers.length).length;
  const lines = servers.map(
    ({ id, state, share, rate: own, ...server }) =>
      `  ${String(id).padStart(idWidth)}  ${sourceLabel(server, LABEL_WIDTH).padEnd(LABEL_WIDTH)}  ${state.padEnd(7)}  ${percentOf(share).padStart(5)}  ${rate(own)}`,
  );
  const left = secondsLeft === undefined ? '' : `, ${clock(secondsLeft)} left`;
  const done = all === 0 ? 1 : bytes / all;
  lines.push(`${spell(seconds)}: ${percentDone(done)}, ${size(bytes)} of ${size(all)}, ${rate(now)}${left}`);
  return lines.join('\n');
}
