import type { Input } from './lines.ts';

/** Where the body lies in the bytes that follow the head. */
export interface Framing {
  /** Body bytes that come next, `Infinity` when only the end of the connection tells; 0: framing, or nothing more. */
  readonly remaining: number;
  /** The body is whole. */
  readonly done: boolean;
  /** Reads framing until body bytes come next, the body is whole or the input has run out. */
  read(input: Input): void;
  /** `length` of the remaining body bytes were taken. */
  took(length: number): void;
  /** What is missing if the connection ends here, in words that follow "closed the connection"; undefined: nothing. */
  missing(): string | undefined;
}

/** A body of a length known from the start. */
export class LengthFraming implements Framing {
  remaining: number;

  constructor(length: number) {
    this.remaining = length;
  }

  get done(): boolean {
    return this.remaining === 0;
  }

  read(): void {}

  took(length: number): void {
    this.remaining -= length;
  }

  missing(): string | undefined {
    return this.done ? undefined : `${this.remaining} bytes early`;
  }
}

/** A body that lasts until the server closes. */
export class CloseFraming implements Framing {
  readonly remaining = Infinity;
  readonly done = false;

  read(): void {}

  took(): void {}

  missing(): undefined {
    return undefined;
  }
}
