import { BrokenAnswer } from './broken-answer.ts';

/** Bytes from the network and how far they have been read. */
export interface Input {
  readonly bytes: Uint8Array;
  at: number;
}

const LF = 0x0a;

/** Cuts bytes into lines that end in CRLF or, as RFC 9112 section 2.2 allows, in a bare LF. */
export class LineReader {
  readonly #what: string;
  readonly #most: number;
  #left: number;
  #partial = '';

  /** `most`: bytes of all lines together, line ends among them, before the answer counts as broken. */
  constructor(what: string, most: number) {
    this.#what = what;
    this.#most = most;
    this.#left = most;
  }

  /** Allows `most` bytes again. */
  restart(): void {
    this.#left = this.#most;
  }

  /**
   * The next line without its end, each byte as the character of that number; undefined when the input ran out first.
   *
   * @throws BrokenAnswer when the lines are longer than allowed, or hold a NUL or a CR that ends no line
   */
  next(input: Input): string | undefined {
    const lf = input.bytes.indexOf(LF, input.at);
    const end = lf === -1 ? input.bytes.length : lf;
    const taken = (lf === -1 ? end : end + 1) - input.at;
    if (taken > this.#left) throw new BrokenAnswer(`its ${this.#what} is longer than ${this.#most} bytes`);
    this.#left -= taken;
    this.#partial += latin1(input.bytes.subarray(input.at, end));
    input.at += taken;
    if (lf === -1) return undefined;

    const line = this.#partial.endsWith('\r') ? this.#partial.slice(0, -1) : this.#partial;
    this.#partial = '';
    if (line.includes('\r') || line.includes('\0')) {
      throw new BrokenAnswer(`its ${this.#what} holds a control character`);
    }
    return line;
  }
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}
