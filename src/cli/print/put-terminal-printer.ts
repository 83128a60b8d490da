import type { UploadEvent } from '../../client/upload/types.ts';
import { DownloadView } from './download-view.ts';
import { frame } from './frame.ts';
import { paintFor } from './paint.ts';
import { oneLine } from './plain-text.ts';
import type { Printer, PrintStream } from './printer.ts';
import { putDoneSentence, putStartSentence, readingSentence } from './put-sentences.ts';
import type { Screen } from './screen.ts';
import { REDRAW_EVERY } from './terminal-printer.ts';
import { showsBlocks } from './unicode.ts';
import { wrapWords } from './wrap-words.ts';

/** One line per server and one for the whole, redrawn in place, as for a download; of many files, one after the other. */
export function putTerminalPrinter(stream: PrintStream, screen: Screen, files: number): Printer<UploadEvent> {
  const paint = paintFor(stream);
  const unicode = showsBlocks(process.env);
  const fresh = (): DownloadView => new DownloadView([], () => performance.now());
  let view = fresh();
  let reading = 0;
  let done = 0;
  let open = true;
  const draw = (): void => {
    const { columns = 80, rows = 24 } = stream;
    const lines = view.started
      ? frame(view, { columns, rows: rows - 1, unicode, paint })
      : [waitingLine(reading)];
    if (files > 1) lines.push(paint('dim', `  file ${Math.min(files, done + 1)} of ${files}`));
    screen.draw(lines.map((line) => (view.started ? line : paint('dim', line.slice(0, columns - 1)))));
  };
  const timer = setInterval(draw, REDRAW_EVERY);
  const above = (text: string): void => screen.above(wrapWords(text, (stream.columns ?? 80) - 1));
  const close = (how: 'keep' | 'clear'): void => {
    if (!open) return;
    open = false;
    clearInterval(timer);
    if (how === 'keep') draw();
    screen.leave(how);
  };
  draw();
  return {
    event(event) {
      switch (event.event) {
        case 'reading':
          reading = event.bytes;
          break;
        case 'start':
          view = fresh();
          view.take({ ...event, output: event.name, resumedBytes: 0, verification: 'chunks' });
          if (files === 1) above(putStartSentence(event));
          break;
        case 'server':
          view.take({ ...event, event: 'source' });
          break;
        case 'progress':
          // Everything is there: what is left is the fleet's look at it.
          view.take({
            ...event,
            sources: event.servers,
            ...(event.bytes === event.size && { secondsLeft: 0 }),
          });
          break;
        case 'notice':
          above(`note: ${oneLine(event.message)}`);
          break;
        case 'done':
          above(putDoneSentence(event));
          reading = 0;
          done++;
          view = fresh();
          if (done === files) close('clear');
          break;
      }
    },
    failed: () => close('keep'),
    close: () => close(done === files ? 'clear' : 'keep'),
  };
}

function waitingLine(reading: number): string {
  return `  ${reading === 0 ? 'asking the fleet' : readingSentence(reading)}`;
}
