import type { Receiver, ResponseHead } from '../../transport/connection.ts';
import { checkUnchanged, refuseEncoding, refuseStatus, validators } from './answer.ts';
import { SourceError, sourceError } from './fault.ts';
import type { Introduction, Source } from './source.ts';

/** Bytes that are read before they are handed on. One piece is taken while the next one comes. */
const PIECE = 256 * 1024;
const PIECES = 2;
/** Milliseconds without a byte after which the source counts as silent. */
const SILENCE = 30_000;
/** Milliseconds between two looks at that. */
const LOOK = 500;

interface Taker {
  /** Most bytes to read at once. */
  readonly most: number;
  /** The memory is read into again once this resolves. */
  take(bytes: Uint8Array): Promise<void>;
  came(length: number): void;
}

/** One answer with a whole file, in pieces, in order; read only as fast as they are taken. */
export class WholeBody implements Receiver {
  readonly #source: Source;
  readonly #introduction: Introduction | undefined;
  readonly #taker: Taker;
  readonly #free: Uint8Array<ArrayBuffer>[] = Array.from({ length: PIECES }, () => new Uint8Array(PIECE));
  #piece: Uint8Array<ArrayBuffer> | undefined;
  #filled = 0;
  #taking: Promise<void> = Promise.resolve();
  /** Nothing is read until a piece is free. */
  #held = false;
  #activeAt = performance.now();

  constructor(source: Source, introduction: Introduction | undefined, taker: Taker) {
    this.#source = source;
    this.#introduction = introduction;
    this.#taker = taker;
  }

  /** Resolves when all of it was taken. @throws SourceError, what the taker throws, `HW_INTERRUPTED` */
  async read(signal: AbortSignal): Promise<void> {
    const source = this.#source;
    const connection = source.connection(0);
    const url = source.target;
    const interrupt = (): void => connection.close();
    const timer = setInterval(() => this.#look(), LOOK);
    signal.addEventListener('abort', interrupt);
    try {
      await connection.send({ method: 'GET', url, headers: source.headersFor(url) }, this);
      if (this.#filled > 0) this.#hand();
      await this.#taking;
    } catch (error) {
      await this.#taking;
      throw sourceError(error) ?? error;
    } finally {
      clearInterval(timer);
      signal.removeEventListener('abort', interrupt);
    }
  }

  head(head: ResponseHead): void {
    const { shown } = this.#source;
    this.#activeAt = performance.now();
    refuseStatus(head, shown);
    refuseEncoding(head, shown);
    const before = this.#introduction;
    if (before !== undefined) checkUnchanged({ ...validators(head.headers), size: undefined }, before, shown);
  }

  buffer(): Uint8Array | undefined {
    this.#piece ??= this.#free.pop();
    if (this.#piece === undefined) this.#held = true;
    return this.#piece?.subarray(this.#filled, Math.min(PIECE, this.#filled + this.#taker.most));
  }

  received(length: number): void {
    this.#activeAt = performance.now();
    this.#filled += length;
    this.#taker.came(length);
    if (this.#filled === PIECE) this.#hand();
  }

  #hand(): void {
    const piece = this.#piece;
    if (piece === undefined) return;
    const bytes = piece.subarray(0, this.#filled);
    this.#piece = undefined;
    this.#filled = 0;
    const taken = this.#taking.then(() => this.#taker.take(bytes));
    this.#taking = taken;
    taken.then(
      () => this.#given(piece),
      (error: unknown) => this.#source.connection(0).close(error instanceof Error ? error : undefined),
    );
  }

  #given(piece: Uint8Array<ArrayBuffer>): void {
    this.#free.push(piece);
    if (!this.#held) return;
    this.#held = false;
    this.#activeAt = performance.now();
    this.#source.connection(0).resume();
  }

  #look(): void {
    if (this.#held || performance.now() - this.#activeAt < SILENCE) return;
    const { shown } = this.#source;
    this.#source.connection(0).close(new SourceError({ kind: 'silent' }, `${shown} has stopped sending`));
  }
}
