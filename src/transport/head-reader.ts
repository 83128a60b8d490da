import { BrokenAnswer } from './broken-answer.ts';
import type { ResponseHead } from './connection.ts';
import { type Input, LineReader } from './lines.ts';

/** A head with what only the transport needs to know. */
export interface AnswerHead extends ResponseHead {
  /** The x of HTTP/1.x. */
  readonly minor: number;
}

/** Status lines and fields of one answer, its interim (1xx) heads included. Real heads stay under 16 KiB. */
export const MOST_HEAD_BYTES = 64 * 1024;

const STATUS_LINE = /^HTTP\/1\.(\d) ([1-9]\d\d)(?: .*)?$/;
/** RFC 9112 section 5: no space before the colon. */
const FIELD_LINE = /^([!#$%&'*+\-.^_`|~\w]+):[ \t]*(.*)$/;
const TRAILING_SPACE = /[ \t]+$/;

/** Reads the head of one answer out of bytes that come in any pieces; skips interim (1xx) heads. */
export class HeadReader {
  readonly #lines = new LineReader('head', MOST_HEAD_BYTES);
  #status = 0;
  #minor = 0;
  #headers = new Map<string, string>();
  #lastName = '';

  /**
   * The head once its last byte is there, undefined before; takes no byte past the head.
   *
   * @throws BrokenAnswer
   */
  read(input: Input): AnswerHead | undefined {
    for (;;) {
      const line = this.#lines.next(input);
      if (line === undefined) return undefined;
      if (this.#status === 0) this.#statusLine(line);
      else if (line !== '') this.#fieldLine(line);
      else if (this.#status >= 200) {
        return { status: this.#status, headers: this.#headers, minor: this.#minor };
      } else this.#forgetInterim();
    }
  }

  #statusLine(line: string): void {
    const match = STATUS_LINE.exec(line);
    if (match === null) throw new BrokenAnswer(`its status line is ${quoted(line)}`);
    this.#minor = Number(match[1]);
    this.#status = Number(match[2]);
    if (this.#status === 101) throw new BrokenAnswer('it switches to a protocol that nobody asked for');
  }

  #fieldLine(line: string): void {
    if (line.startsWith(' ') || line.startsWith('\t')) {
      this.#foldedLine(line);
      return;
    }
    const match = FIELD_LINE.exec(line);
    if (match === null) throw new BrokenAnswer(`a line of its head is ${quoted(line)}`);
    const name = (match[1] ?? '').toLowerCase();
    const value = (match[2] ?? '').replace(TRAILING_SPACE, '');
    const before = this.#headers.get(name);
    this.#headers.set(name, before === undefined ? value : `${before}, ${value}`);
    this.#lastName = name;
  }

  /** RFC 9112 section 5.2: a user agent reads a folded line as a space. */
  #foldedLine(line: string): void {
    const before = this.#headers.get(this.#lastName);
    if (before === undefined) throw new BrokenAnswer('the first field of its head begins with a space');
    this.#headers.set(this.#lastName, `${before} ${line.trim()}`.trim());
  }

  #forgetInterim(): void {
    this.#status = 0;
    this.#headers = new Map();
    this.#lastName = '';
  }
}

/** Foreign text, safe to print. */
function quoted(line: string): string {
  return JSON.stringify(line.length > 60 ? `${line.slice(0, 60)}…` : line);
}
