import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';

import { HeadwaterError } from '../core/errors.ts';
import { sendFailure, sendJson } from './failure.ts';
import { CONNECTION_TIMES, newHttpServer } from './http-server.ts';
import { listenOn, urlOf } from './listen.ts';
import type { ControlOptions, ServerHandle } from './serve-types.ts';

const LOOPBACK = '127.0.0.1';
/** Names that a request to loopback can carry in Host; any other came through a name that somebody else controls. */
const LOOPBACK_HOST = /^(?:127\.0\.0\.1|localhost|\[::1\])(?::\d{1,5})?$/i;
/** Answers under way when the API is closed may take this long, milliseconds: the last `end` wants its answer. */
const GRACE = 1_000;

export interface ControlServerOptions extends ControlOptions {
  readonly servers: readonly ServerHandle[];
  /** Where the servers listen; the API does so too when there is a token. */
  readonly address: string | undefined;
  readonly tls: { readonly cert: string; readonly key: string } | undefined;
}

/**
 * The operator's console over HTTP:
 *
 * - `GET /v1/servers`, `GET /v1/servers/ID`
 * - `POST /v1/servers/ID/pause`, `…/resume`, `…/end`, with `Content-Type: application/json`
 *
 * A web page in the operator's browser must not reach it: what has an Origin, comes under a foreign Host, or could be
 * sent by a form is refused.
 */
export class ControlServer {
  readonly url: string;
  readonly #server: Server;
  readonly #servers: readonly ServerHandle[];
  readonly #token: Buffer | undefined;

  private constructor(options: ControlServerOptions, server: Server, url: string) {
    this.#server = server;
    this.#servers = options.servers;
    this.#token = options.token === undefined ? undefined : digest(options.token);
    this.url = url;
    server.on('request', (request, response) => this.#requested(request, response));
  }

  /** @throws HeadwaterError `HW_LISTEN` */
  static async start(options: ControlServerOptions): Promise<ControlServer> {
    const isOpen = options.token !== undefined;
    const tls = isOpen ? options.tls : undefined;
    const server = newHttpServer(tls, CONNECTION_TIMES);
    const port = { port: options.port, exact: true };
    const bound = await listenOn(server, port, isOpen ? options.address : LOOPBACK);
    return new ControlServer(options, server, urlOf(bound, tls === undefined ? 'http' : 'https'));
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    this.#server.closeIdleConnections();
    const timer = setTimeout(() => this.#server.closeAllConnections(), GRACE);
    await closed;
    clearTimeout(timer);
  }

  #requested(request: IncomingMessage, response: ServerResponse): void {
    response.on('error', () => undefined);
    // Nothing that is asked of it is worth a connection that stays.
    response.setHeader('Connection', 'close');
    try {
      this.#admit(request, response);
      sendJson(response, 200, {}, this.#act(request));
    } catch (cause) {
      const error =
        cause instanceof HeadwaterError
          ? cause
          : new HeadwaterError('HW_INTERNAL', 'the control API failed at this', { cause });
      sendFailure(response, error);
    }
  }

  #admit({ headers, method }: IncomingMessage, response: ServerResponse): void {
    const refuse = (message: string): never => {
      throw new HeadwaterError('HW_NOT_ALLOWED', message);
    };
    if (headers.origin !== undefined) refuse('the control API does not answer web pages');
    if (this.#token === undefined) {
      if (!LOOPBACK_HOST.test(headers.host ?? ''))
        refuse('the control API answers to the name of loopback only');
    } else {
      const token = /^Bearer ([\x21-\x7e]+)$/i.exec(headers.authorization ?? '')?.[1];
      if (token === undefined || !timingSafeEqual(digest(token), this.#token)) {
        response.setHeader('WWW-Authenticate', 'Bearer');
        throw new HeadwaterError('HW_NOT_ALLOWED', 'the control API asks for its token', {
          details: { status: 401 },
        });
      }
    }
    if (method === 'POST' && !/^application\/json\s*(?:;|$)/i.test(headers['content-type'] ?? '')) {
      refuse('the control API takes POST with Content-Type: application/json');
    }
  }

  #act({ method = '', url = '' }: IncomingMessage): object {
    const [path = ''] = url.split('?');
    if (path === '/v1/servers') {
      expectMethod(method, 'GET');
      return { servers: this.#servers.map((each) => each.status()) };
    }
    const match = /^\/v1\/servers\/(\d{1,4})(?:\/(pause|resume|end))?$/.exec(path);
    if (match === null) throw new HeadwaterError('HW_NOT_FOUND', 'the control API has nothing there');
    const server = this.#servers.find(({ id }) => id === Number(match[1]));
    if (server === undefined) throw new HeadwaterError('HW_NOT_FOUND', `there is no server ${match[1]}`);
    const action = match[2];
    expectMethod(method, action === undefined ? 'GET' : 'POST');
    if (action === 'pause') server.pause();
    if (action === 'resume') server.resume();
    if (action === 'end') void server.end();
    return server.status();
  }
}

function expectMethod(method: string, expected: 'GET' | 'POST'): void {
  if (method === expected) return;
  throw new HeadwaterError('HW_METHOD', `${method} is not offered there; ${expected} is`, {
    details: { allow: expected },
  });
}

/** Digests have one length, as a comparison in constant time needs. */
function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
