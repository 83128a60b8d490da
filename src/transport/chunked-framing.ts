import { BrokenAnswer } from './broken-answer.ts';
import type { Framing } from './framing.ts';
import { type Input, LineReader } from './lines.ts';

/** One chunk's size line with its extensions. Extensions mean nothing to us; a line this long is no accident. */
export const MOST_CHUNK_LINE_BYTES = 4 * 1024;
/** All trailers together. */
export const MOST_TRAILER_BYTES = 64 * 1024;

/** 13 hexadecimal digits stay below 2^53. */
const SIZE_LINE = /^([0-9a-f]{1,13})[ \t]*(?:;.*)?$/i;

type Expected = 'size' | 'data' | 'end of data' | 'trailer' | 'nothing';

/** The chunked transfer coding, RFC 9112 section 7.1. Extensions and trailers are read and dropped. */
export class ChunkedFraming implements Framing {
  remaining = 0;
  readonly #lines = new LineReader('chunk header', MOST_CHUNK_LINE_BYTES);
  readonly #trailers = new LineReader('trailer section', MOST_TRAILER_BYTES);
  #expected: Expected = 'size';

  get done(): boolean {
    return this.#expected === 'nothing';
  }

  read(input: Input): void {
    while (this.remaining === 0 && !this.done) {
      const lines = this.#expected === 'trailer' ? this.#trailers : this.#lines;
      const line = lines.next(input);
      if (line === undefined) return;
      this.#line(line);
    }
  }

  took(length: number): void {
    this.remaining -= length;
    if (this.remaining === 0) this.#expected = 'end of data';
  }

  missing(): string | undefined {
    return this.done ? undefined : 'before the last chunk';
  }

  #line(line: string): void {
    switch (this.#expected) {
      case 'size': {
        const match = SIZE_LINE.exec(line);
        if (match === null)
          throw new BrokenAnswer(`a chunk begins with ${JSON.stringify(line.slice(0, 60))}`);
        this.remaining = Number.parseInt(match[1] ?? '', 16);
        this.#expected = this.remaining === 0 ? 'trailer' : 'data';
        this.#lines.restart();
        break;
      }
      case 'end of data':
        if (line !== '') throw new BrokenAnswer('a chunk is longer than its size says');
        this.#expected = 'size';
        break;
      case 'trailer':
        if (line === '') this.#expected = 'nothing';
        break;
      case 'data':
      case 'nothing':
        break;
    }
  }
}
