import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Socket } from 'node:net';

import { HeadwaterError } from '../core/errors.ts';
import type { ByteRange } from '../core/ranges.ts';
import { answer, type AnsweringServer } from './answer.ts';
import type { BlockPool } from './block-pool.ts';
import { BodySender, type BodyEnd } from './body-sender.ts';
import { FairLimit } from './fair-limit.ts';
import { sendFailure } from './failure.ts';
import {
  END_GRACE,
  HEADER_TIMEOUT,
  KEEP_ALIVE_TIMEOUT,
  MOST_CONNECTIONS,
  MOST_HEADER_BYTES,
  REQUEST_TIMEOUT,
  SEND_TIMEOUT,
} from './limits.ts';
import { listenOn, urlOf, type WantedPort } from './listen.ts';
import type { Log } from './log.ts';
import { RateMeter } from './rate-meter.ts';
import type { ServerHandle, ServerState, ServerStatus } from './serve-types.ts';
import type { OpenedFile, Store } from './store.ts';

export interface FileServerOptions {
  readonly id: number;
  readonly store: Store;
  readonly pool: BlockPool;
  /** Bytes a second. */
  readonly limit: number | undefined;
  readonly tls: { readonly cert: string; readonly key: string } | undefined;
  /** Seconds. */
  readonly grace: number;
  readonly log: Log;
  readonly onState: (server: FileServer) => void;
  readonly onFault: (error: HeadwaterError, server: FileServer) => void;
}

/**
 * One server: a listening socket, its connections and the answers on them. Owns them all until it has ended. What
 * goes wrong in one answer ends that connection, what goes wrong with the listening socket ends this server, and
 * neither touches the others.
 */
export class FileServer implements ServerHandle, AnsweringServer {
  readonly id: number;
  readonly store: Store;
  readonly #options: FileServerOptions;
  readonly #server: Server;
  readonly #limit: FairLimit | undefined;
  /** Every open connection with the answers whose bodies are under way on it. */
  readonly #connections = new Map<Socket, Set<BodySender>>();
  readonly #closed = Promise.withResolvers<void>();
  readonly #meter = new RateMeter(performance.now());
  #state: ServerState = 'running';
  #isClosed = false;
  #answers = 0;
  #bytesSent = 0;
  #url = '';
  #address = '';
  #port = 0;
  #graceTimer: NodeJS.Timeout | undefined;

  private constructor(options: FileServerOptions) {
    this.#options = options;
    this.id = options.id;
    this.store = options.store;
    this.#limit = options.limit === undefined ? undefined : new FairLimit(options.limit);
    this.#server = this.#create();
  }

  /**
   * A server that listens.
   *
   * @throws HeadwaterError `HW_LISTEN`
   */
  static async start(
    options: FileServerOptions,
    wanted: WantedPort,
    address: string | undefined,
  ): Promise<FileServer> {
    const server = new FileServer(options);
    const bound = await listenOn(server.#server, wanted, address);
    server.#server.on('error', (error) => server.#failed(error));
    server.#address = bound.address;
    server.#port = bound.port;
    server.#url = urlOf(bound, options.tls === undefined ? 'http' : 'https');
    return server;
  }

  get url(): string {
    return this.#url;
  }

  get address(): string {
    return this.#address;
  }

  get port(): number {
    return this.#port;
  }

  get state(): ServerState {
    return this.#state;
  }

  get refuses(): 'paused' | 'ending' | undefined {
    if (this.#state === 'running') return undefined;
    return this.#state === 'paused' ? 'paused' : 'ending';
  }

  status(): ServerStatus {
    return {
      id: this.id,
      url: this.#url,
      address: this.#address,
      port: this.#port,
      state: this.#state,
      clients: this.#connections.size,
      answers: this.#answers,
      bytesSent: this.#bytesSent,
      rate: Math.round(this.#meter.rate(performance.now())),
    };
  }

  pause(): void {
    if (this.#state !== 'running') return;
    this.#enter('paused');
    for (const senders of this.#connections.values()) for (const sender of senders) sender.pause();
  }

  resume(): void {
    if (this.#state !== 'paused') return;
    this.#enter('running');
    for (const senders of this.#connections.values()) for (const sender of senders) sender.resume();
  }

  end(grace: number = this.#options.grace): Promise<void> {
    const was = this.#state;
    if (was === 'ended' || was === 'failed') return this.#closed.promise;
    if (was !== 'ending') {
      this.#enter('ending');
      this.#server.close(() => this.#closedSocket('ended'));
      for (const [socket, senders] of this.#connections) if (senders.size === 0) socket.destroySoon();
    }
    // A paused server has nothing that could finish.
    if (was === 'running' && grace > 0) this.#graceTimer = setTimeout(() => this.#cut(), grace * 1000);
    else this.#cut();
    return this.#closed.promise;
  }

  sendBody(response: ServerResponse, file: OpenedFile, range: ByteRange): void {
    const { socket } = response.req;
    const senders = this.#connections.get(socket);
    if (senders === undefined) {
      // The connection was lost while the file was opened.
      file.close();
      return;
    }
    this.#answers++;
    const sender = new BodySender(
      {
        response,
        file,
        range,
        pool: this.#options.pool,
        limit: this.#limit,
        onBytes: (bytes) => {
          this.#bytesSent += bytes;
          this.#meter.add(bytes, performance.now());
        },
        onEnd: (end) => {
          this.#answers--;
          senders.delete(sender);
          this.#bodyEnded(end, file, socket);
          if (this.#state === 'ending' && senders.size === 0) socket.destroySoon();
        },
      },
      this.#state === 'paused',
    );
    senders.add(sender);
  }

  #create(): Server {
    const { tls } = this.#options;
    const settings = {
      keepAlive: true,
      noDelay: true,
      maxHeaderSize: MOST_HEADER_BYTES,
      headersTimeout: HEADER_TIMEOUT,
      requestTimeout: REQUEST_TIMEOUT,
      keepAliveTimeout: KEEP_ALIVE_TIMEOUT,
      connectionsCheckingInterval: 5_000,
    };
    const server: Server =
      tls === undefined
        ? createServer(settings)
        : createTlsServer({ ...settings, ...tls, handshakeTimeout: HEADER_TIMEOUT });
    server.maxConnections = MOST_CONNECTIONS;
    // Bounded by the size of the head already; the default would drop fields without a word.
    server.maxHeadersCount = 0;
    server.timeout = SEND_TIMEOUT;
    server.on('timeout', (socket) => this.#timedOut(socket));
    server.on(tls === undefined ? 'connection' : 'secureConnection', (socket: Socket) =>
      this.#connected(socket),
    );
    server.on('request', (request, response) => void this.#requested(request, response));
    return server;
  }

  #connected(socket: Socket): void {
    const senders = new Set<BodySender>();
    this.#connections.set(socket, senders);
    socket.on('close', () => {
      this.#connections.delete(socket);
      for (const sender of senders) sender.connectionClosed();
      if (this.#isClosed) this.#closedSocket('ended');
    });
  }

  async #requested(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const begun = performance.now();
    // What cannot be sent any more is no news: the connection's end says it.
    response.on('error', () => undefined);
    response.on('finish', () => this.#log(request, response, begun));
    try {
      await answer(request, response, this);
    } catch (error) {
      this.#refuse(response, error);
    }
  }

  #refuse(response: ServerResponse, cause: unknown): void {
    let error: HeadwaterError;
    if (cause instanceof HeadwaterError) error = cause;
    else error = new HeadwaterError('HW_INTERNAL', 'the server failed at answering this', { cause });
    if (error.code === 'HW_INTERNAL' || error.code === 'HW_DISK') this.#options.onFault(error, this);
    if (response.headersSent) response.destroy();
    else sendFailure(response, error);
  }

  #bodyEnded(end: BodyEnd, file: OpenedFile, socket: Socket): void {
    const about = { server: this.id, name: file.name, client: socket.remoteAddress };
    if (end.how === 'changed') {
      this.#options.log.warn(about, 'the file changed while it was sent; the connection was cut');
    } else if (end.how === 'failed') {
      const message = `cannot read ${file.name} any further: ${end.error.message}; the connection was cut`;
      this.#options.onFault(new HeadwaterError('HW_DISK', message, { cause: end.error }), this);
    }
  }

  /** No byte moved on a connection for as long as its timeout says. Waiting for this side is no fault of the client. */
  #timedOut(socket: Socket): void {
    const senders = [...(this.#connections.get(socket) ?? [])];
    const isOurDoing =
      senders.length > 0 && (this.#state === 'paused' || !senders.some((each) => each.waitsForClient));
    if (isOurDoing) socket.setTimeout(SEND_TIMEOUT);
    else socket.destroy();
  }

  #cut(): void {
    clearTimeout(this.#graceTimer);
    for (const socket of this.#connections.keys()) socket.destroy();
    this.#server.closeAllConnections();
  }

  #failed(cause: Error): void {
    const message = `server ${this.id} on port ${this.#port} failed: ${cause.message}`;
    this.#options.onFault(new HeadwaterError('HW_LISTEN', message, { cause }), this);
    this.#cut();
    this.#server.close();
    this.#closedSocket('failed');
  }

  /** The listening socket is closed; so is the server once its connections are. */
  #closedSocket(state: 'ended' | 'failed'): void {
    this.#isClosed = true;
    if (state === 'ended' && this.#connections.size > 0) return;
    clearTimeout(this.#graceTimer);
    if (this.#state !== 'ended' && this.#state !== 'failed') this.#enter(state);
    this.#closed.resolve();
  }

  #enter(state: ServerState): void {
    this.#state = state;
    this.#options.onState(this);
  }

  #log(request: IncomingMessage, response: ServerResponse, begun: number): void {
    this.#options.log.info(
      {
        server: this.id,
        client: request.socket.remoteAddress,
        method: request.method,
        url: request.url,
        range: request.headers.range,
        status: response.statusCode,
        milliseconds: Math.round(performance.now() - begun),
      },
      'answered',
    );
  }
}

/** Seconds. */
export const DEFAULT_GRACE = END_GRACE / 1000;
