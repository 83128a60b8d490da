import { ERRORS, HeadwaterError } from '../../core/errors.ts';
import type { Hide } from '../secrets.ts';
import type { Printer, PrintStream } from './printer.ts';

/** Events as they are, one object a line; a last `error` line where the download ends other than well. */
export function jsonPrinter(stream: PrintStream, hide: Hide): Printer<object> {
  const line = (value: object): void => {
    const text = JSON.stringify(value, (_, each: unknown) => (typeof each === 'string' ? hide(each) : each));
    stream.write(`${text}\n`);
  };
  return {
    event: line,
    failed(error) {
      const code = error instanceof HeadwaterError ? error.code : 'HW_INTERNAL';
      const message = error instanceof Error ? error.message : String(error);
      line({ event: 'error', code, message, remedy: ERRORS[code].remedy, exit: ERRORS[code].exit });
    },
    close: () => undefined,
  };
}
