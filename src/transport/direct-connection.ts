import { HeadwaterError } from '../core/errors.ts';
import { Answer } from './answer.ts';
import { BrokenAnswer } from './broken-answer.ts';
import { connectError } from './connect-errors.ts';
import type { Connection, Receiver, Request, TransportSettings } from './connection.ts';
import { requestBytes } from './request-bytes.ts';
import { shownUrl } from './shown-url.ts';
import { Wire } from './wire.ts';

interface Exchange {
  readonly request: Request;
  readonly receiver: Receiver;
  readonly bytes: Uint8Array;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
  answer: Answer;
  /** Sent on a socket that had answered before: it may have been closed in the meantime. */
  reused: boolean;
  /** Body bytes that came with the head or while nobody took them; they go before anything still on the wire. */
  kept: Uint8Array;
  /** The server has closed after the bytes in `kept`. */
  closed: boolean;
}

const NOTHING = new Uint8Array(0);

/** A `Connection` straight over TCP or TLS. */
export class DirectConnection implements Connection {
  opened = 0;
  readonly #origin: URL;
  readonly #settings: TransportSettings;
  #wire: Wire | undefined;
  #exchange: Exchange | undefined;
  #paused = false;
  /** Bytes are being handed over: a `resume` from within must not hand over the next ones before these. */
  #feeding = false;

  constructor(origin: URL, settings: TransportSettings) {
    this.#origin = new URL(origin);
    this.#settings = settings;
  }

  send(request: Request, receiver: Receiver): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#exchange !== undefined) {
        throw new HeadwaterError('HW_INTERNAL', 'A connection was given a second request during the first.');
      }
      if (request.url.origin !== this.#origin.origin) {
        throw new HeadwaterError(
          'HW_INTERNAL',
          `A connection to ${this.#origin.origin} was given another server's URL.`,
        );
      }
      const bytes = requestBytes(request);
      const answer = new Answer(request.method, receiver);
      this.#exchange = {
        request,
        receiver,
        bytes,
        resolve,
        reject,
        answer,
        reused: this.#wire !== undefined,
        kept: NOTHING,
        closed: false,
      };
      this.#transmit(this.#exchange);
    });
  }

  pause(): void {
    this.#paused = true;
    const answer = this.#exchange?.answer;
    if (answer === undefined) return;
    answer.held = true;
    if (answer.inBody) this.#wire?.pause();
  }

  resume(): void {
    this.#paused = false;
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    exchange.answer.held = false;
    if (!this.#feeding && exchange.answer.inBody) this.#goOn(exchange);
  }

  close(reason?: Error): void {
    this.#hangUp();
    const exchange = this.#exchange;
    if (exchange === undefined || exchange.answer.done) return;
    this.#fail(
      exchange,
      reason ??
        this.#error(
          'HW_INTERRUPTED',
          exchange,
          `The request to ${shownUrl(exchange.request.url)} was stopped.`,
        ),
    );
  }

  #transmit(exchange: Exchange): void {
    exchange.answer.held = this.#paused;
    try {
      this.#wire ??= this.#open();
      this.#wire.write(exchange.bytes);
    } catch (error) {
      this.#fail(exchange, error);
    }
  }

  #open(): Wire {
    this.opened++;
    return new Wire(this.#origin, this.#settings, {
      memory: () => this.#memory(),
      landed: (length) => this.#landed(length),
      read: (bytes) => this.#read(bytes),
      over: (error) => this.#over(error),
    });
  }

  #memory(): Uint8Array | undefined {
    const exchange = this.#exchange;
    if (exchange === undefined || !exchange.answer.inBody) return undefined;
    let memory: Uint8Array | undefined;
    if (exchange.kept.length === 0) {
      this.#guard(exchange, () => {
        memory = exchange.answer.memory();
      });
    }
    if (memory === undefined) this.#wire?.pause();
    return memory;
  }

  #landed(length: number): void {
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    this.#guard(exchange, () => exchange.answer.landed(length));
    if (exchange.answer.done) this.#finish(exchange);
  }

  #read(bytes: Uint8Array): void {
    const exchange = this.#exchange;
    if (exchange === undefined || exchange.answer.done) {
      // Bytes that answer no request: whatever they are, the next answer could not be told from them.
      this.#hangUp();
      return;
    }
    if (exchange.kept.length > 0) exchange.kept = Buffer.concat([exchange.kept, bytes]);
    else this.#feed(exchange, bytes, true);
  }

  /** Hands over what it can and keeps the rest; a copy when the bytes are only lent. */
  #feed(exchange: Exchange, bytes: Uint8Array, lent: boolean): void {
    const input = { bytes, at: 0 };
    this.#guard(exchange, () => exchange.answer.feed(input));
    if (this.#exchange !== exchange) return;
    const rest = bytes.subarray(input.at);
    const { done } = exchange.answer;
    exchange.kept = done || rest.length === 0 ? NOTHING : lent ? rest.slice() : rest;
    if (!done) return;
    if (rest.length > 0) this.#hangUp();
    this.#finish(exchange);
  }

  #goOn(exchange: Exchange): void {
    if (exchange.kept.length > 0) this.#feed(exchange, exchange.kept, false);
    if (this.#exchange !== exchange || exchange.answer.done || exchange.kept.length > 0) return;
    if (exchange.closed) this.#serverClosed(exchange);
    else this.#wire?.resume();
  }

  #over(error: Error | undefined): void {
    this.#wire = undefined;
    const exchange = this.#exchange;
    if (exchange === undefined || exchange.answer.done) return;
    if (exchange.reused && !exchange.answer.begun && exchange.request.method !== 'POST') {
      exchange.reused = false;
      this.#transmit(exchange);
    } else if (error !== undefined) {
      const { host } = this.#origin;
      const { begun } = exchange.answer;
      this.#fail(exchange, connectError(error, { url: shownUrl(exchange.request.url), host, begun }));
    } else if (exchange.kept.length > 0) exchange.closed = true;
    else this.#serverClosed(exchange);
  }

  #serverClosed(exchange: Exchange): void {
    const missing = exchange.answer.close();
    if (missing === undefined) this.#finish(exchange);
    else {
      const url = shownUrl(exchange.request.url);
      this.#fail(
        exchange,
        this.#error('HW_CONNECT', exchange, `${url}: the server closed the connection ${missing}.`),
      );
    }
  }

  /**
   * The promise is kept a moment later, when what the system has already received after this answer has been seen: a
   * close, or bytes that belong to no answer, must not meet the next request.
   */
  #finish(exchange: Exchange): void {
    if (!exchange.answer.reusable || this.#wire?.flushed === false) this.#hangUp();
    else this.#wire?.resume();
    setImmediate(() => {
      if (this.#exchange !== exchange) return;
      this.#exchange = undefined;
      exchange.resolve();
    });
  }

  #fail(exchange: Exchange, reason: unknown): void {
    if (this.#exchange !== exchange) return;
    this.#exchange = undefined;
    exchange.answer.abandon();
    this.#hangUp();
    exchange.reject(reason);
  }

  #hangUp(): void {
    this.#wire?.destroy();
    this.#wire = undefined;
  }

  /** Runs what calls the receiver; what it throws ends the exchange. */
  #guard(exchange: Exchange, run: () => void): void {
    this.#feeding = true;
    try {
      run();
    } catch (error) {
      this.#fail(exchange, error instanceof BrokenAnswer ? this.#broken(exchange, error) : error);
    } finally {
      this.#feeding = false;
    }
  }

  #broken(exchange: Exchange, cause: BrokenAnswer): HeadwaterError {
    const message = `${shownUrl(exchange.request.url)} does not answer in HTTP as it should: ${cause.message}.`;
    return this.#error('HW_PROTOCOL', exchange, message, cause);
  }

  #error(
    code: 'HW_CONNECT' | 'HW_PROTOCOL' | 'HW_INTERRUPTED',
    exchange: Exchange,
    message: string,
    cause?: Error,
  ): HeadwaterError {
    const details = { url: shownUrl(exchange.request.url) };
    return new HeadwaterError(code, message, cause === undefined ? { details } : { details, cause });
  }
}
