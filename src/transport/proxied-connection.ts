import type { Dispatcher, ProxyAgent } from 'undici';

import { HeadwaterError } from '../core/errors.ts';
import type { Connection, Receiver, Request, TransportSettings } from './connection.ts';
import { openProxyAgent } from './proxy-agent.ts';
import { proxiedError } from './proxy-errors.ts';
import { requestFields } from './request-bytes.ts';
import { shownUrl } from './shown-url.ts';

interface Exchange {
  readonly request: Request;
  readonly receiver: Receiver;
  readonly headers: Record<string, string>;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
  controller: Dispatcher.DispatchController | undefined;
  /** A byte of the answer has come. */
  begun: boolean;
  /** Sent over a connection that had answered before: it may have been closed in the meantime. */
  reused: boolean;
  /** Body bytes that came while nobody took them. */
  kept: Uint8Array;
  /** The answer is whole once `kept` is handed over. */
  ended: boolean;
}

const NOTHING = new Uint8Array(0);

/** A `Connection` through a proxy, by way of undici. Body bytes are copied once more than on the direct way. */
export class ProxiedConnection implements Connection {
  opened = 0;
  readonly #origin: URL;
  readonly #proxy: URL;
  readonly #settings: TransportSettings;
  #agent: ProxyAgent | undefined;
  #exchange: Exchange | undefined;
  #paused = false;
  /** Bytes are being handed over: a `resume` from within must not hand over the next ones before these. */
  #feeding = false;

  constructor(origin: URL, proxy: URL, settings: TransportSettings) {
    this.#origin = new URL(origin);
    this.#proxy = proxy;
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
      const headers: Record<string, string> = {};
      // undici takes each character for one byte.
      for (const [name, value] of requestFields(request))
        headers[name] = Buffer.from(value).toString('latin1');
      const exchange: Exchange = {
        request,
        receiver,
        headers,
        resolve,
        reject,
        controller: undefined,
        begun: false,
        reused: this.#agent !== undefined && this.opened > 0,
        kept: NOTHING,
        ended: false,
      };
      this.#exchange = exchange;
      void this.#dispatch(exchange);
    });
  }

  pause(): void {
    this.#paused = true;
    this.#exchange?.controller?.pause();
  }

  resume(): void {
    this.#paused = false;
    const exchange = this.#exchange;
    if (exchange !== undefined && !this.#feeding) this.#goOn(exchange);
  }

  close(reason?: Error): void {
    const exchange = this.#exchange;
    if (exchange === undefined) this.#hangUp();
    else this.#fail(exchange, reason ?? this.#interrupted(exchange));
  }

  async #dispatch(exchange: Exchange): Promise<void> {
    const { method, url, body } = exchange.request;
    try {
      const agent = this.#agent ?? (await openProxyAgent(this.#proxy, this.#settings, () => this.opened++));
      // Closed while undici was loading.
      if (this.#exchange !== exchange) return;
      this.#agent = agent;
      const target = { origin: url.origin, path: `${url.pathname}${url.search}` };
      const options = { ...target, method, headers: exchange.headers, body: body ?? null };
      agent.dispatch(options, this.#handler(exchange));
    } catch (error) {
      this.#fail(exchange, error);
    }
  }

  #handler(exchange: Exchange): Dispatcher.DispatchHandler {
    const current = (): boolean => this.#exchange === exchange;
    return {
      onRequestStart: (controller) => {
        if (!current()) {
          controller.abort(this.#interrupted(exchange));
          return;
        }
        exchange.controller = controller;
        if (this.#paused) controller.pause();
      },
      onResponseStart: (_controller, status, fields) => {
        exchange.begun = true;
        if (!current() || status < 200) return;
        const headers = new Map<string, string>();
        for (const [name, value] of Object.entries(fields)) {
          if (value !== undefined) headers.set(name, Array.isArray(value) ? value.join(', ') : value);
        }
        this.#guard(exchange, () => exchange.receiver.head({ status, headers }));
      },
      onResponseData: (_controller, bytes) => {
        if (!current()) return;
        if (exchange.kept.length > 0) exchange.kept = Buffer.concat([exchange.kept, bytes]);
        else this.#feed(exchange, bytes);
      },
      onResponseEnd: () => {
        if (!current()) return;
        exchange.ended = true;
        if (exchange.kept.length === 0) this.#finish(exchange);
      },
      onResponseError: (_controller, error) => {
        if (current()) this.#failed(exchange, error);
      },
    };
  }

  /** Hands over what it can, keeps the rest and then takes no more. */
  #feed(exchange: Exchange, bytes: Uint8Array): void {
    let at = 0;
    this.#guard(exchange, () => {
      while (at < bytes.length && !this.#paused && this.#exchange === exchange) {
        const memory = exchange.receiver.buffer();
        if (memory === undefined) return;
        const length = Math.min(memory.length, bytes.length - at);
        memory.set(bytes.subarray(at, at + length));
        at += length;
        exchange.receiver.received(length);
      }
    });
    exchange.kept = bytes.subarray(at);
    if (exchange.kept.length > 0) exchange.controller?.pause();
  }

  #goOn(exchange: Exchange): void {
    if (exchange.kept.length > 0) this.#feed(exchange, exchange.kept);
    if (this.#exchange !== exchange || exchange.kept.length > 0) return;
    if (exchange.ended) this.#finish(exchange);
    else exchange.controller?.resume();
  }

  #finish(exchange: Exchange): void {
    this.#exchange = undefined;
    exchange.resolve();
  }

  #failed(exchange: Exchange, error: Error): void {
    if (exchange.reused && !exchange.begun && exchange.request.method !== 'POST') {
      exchange.reused = false;
      this.#hangUp();
      void this.#dispatch(exchange);
    } else {
      const { request, begun } = exchange;
      this.#fail(exchange, proxiedError(error, { url: request.url, proxy: this.#proxy, begun }));
    }
  }

  #fail(exchange: Exchange, reason: unknown): void {
    if (this.#exchange !== exchange) return;
    this.#exchange = undefined;
    this.#hangUp();
    exchange.reject(reason);
  }

  #hangUp(): void {
    const agent = this.#agent;
    this.#agent = undefined;
    void agent?.destroy().catch(() => {});
  }

  /** Runs what calls the receiver; what it throws ends the exchange. */
  #guard(exchange: Exchange, run: () => void): void {
    this.#feeding = true;
    try {
      run();
    } catch (error) {
      this.#fail(exchange, error);
    } finally {
      this.#feeding = false;
    }
  }

  #interrupted({ request }: Exchange): HeadwaterError {
    const url = shownUrl(request.url);
    return new HeadwaterError('HW_INTERRUPTED', `The request to ${url} was stopped.`, { details: { url } });
  }
}
