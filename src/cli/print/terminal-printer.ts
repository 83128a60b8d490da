import type { DownloadEvent } from '../../client/types.ts';
import type { Hide } from '../secrets.ts';
import { DownloadView } from './download-view.ts';
import { frame } from './frame.ts';
import { paintFor } from './paint.ts';
import type { Printer, PrintStream } from './printer.ts';
import { reportText } from './report.ts';
import type { Screen } from './screen.ts';
import { noticeSentence, startSentence } from './sentences.ts';
import { showsBlocks } from './unicode.ts';
import { wrapWords } from './wrap-words.ts';

/** Milliseconds between two pictures; fast enough to look alive, slow enough to cost nothing. */
export const REDRAW_EVERY = 100;

/** What is known of the sources before they tell of themselves. */
export interface SourcesTold {
  readonly urls: readonly string[];
  /** How many there are at first. */
  readonly number: () => number;
  /** Milliseconds on a clock that never runs backwards. */
  readonly now: () => number;
}

/** One line per source and one for the whole, redrawn in place. */
export function terminalPrinter(
  stream: PrintStream,
  screen: Screen,
  { urls, number, now }: SourcesTold,
  hide: Hide,
): Printer {
  const view = new DownloadView(urls, now);
  const paint = paintFor(stream);
  const unicode = showsBlocks(process.env);
  const draw = (): void => {
    const { columns = 80, rows = 24 } = stream;
    screen.draw(frame(view, { columns, rows, unicode, paint }));
  };
  const timer = setInterval(draw, REDRAW_EVERY);
  let open = true;
  const close = (how: 'keep' | 'clear'): void => {
    if (!open) return;
    open = false;
    clearInterval(timer);
    if (how === 'keep') draw();
    screen.leave(how);
  };
  const above = (text: string): void => screen.above(wrapWords(hide(text), (stream.columns ?? 80) - 1));
  draw();
  return {
    event(event: DownloadEvent) {
      view.take(event);
      if (event.event === 'start') above(startSentence(event, number()));
      else if (event.event === 'notice') above(noticeSentence(event));
      else if (event.event === 'done') {
        close('clear');
        stream.write(`${hide(reportText(event, stream.columns ?? 80, paint))}\n`);
      }
    },
    failed: () => close('keep'),
    close: () => close('keep'),
  };
}
