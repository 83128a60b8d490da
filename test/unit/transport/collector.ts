import type { Receiver, ResponseHead } from '../../../src/transport/connection.ts';

/** A receiver that keeps a whole answer, taking it in buffers of `bufferSize` bytes. */
export class Collector implements Receiver {
  arrived: ResponseHead | undefined;
  /** Calls of `received`. */
  pieces = 0;
  readonly #bufferSize: number;
  readonly #taken: Uint8Array[] = [];
  #given: Uint8Array = new Uint8Array(0);

  constructor(bufferSize = 64 * 1024) {
    this.#bufferSize = bufferSize;
  }

  get body(): Buffer {
    return Buffer.concat(this.#taken);
  }

  get status(): number | undefined {
    return this.arrived?.status;
  }

  head(head: ResponseHead): void {
    if (this.arrived !== undefined) throw new Error('a second head');
    this.arrived = head;
  }

  buffer(): Uint8Array | undefined {
    this.#given = new Uint8Array(this.#bufferSize);
    return this.#given;
  }

  received(length: number): void {
    if (length < 1 || length > this.#given.length) throw new Error(`${length} bytes were never asked for`);
    this.#taken.push(this.#given.slice(0, length));
    this.#given = new Uint8Array(0);
    this.pieces++;
  }
}
