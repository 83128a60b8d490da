import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

import { HeadwaterError } from '../core/errors.ts';
import type { ByteRange } from '../core/ranges.ts';
import type { Answer, AnsweringServer, BodyUnderWay } from './answer.ts';
import type { BlockPool } from './block-pool.ts';
import { BodySender, type BodyEnd } from './body-sender.ts';
import { ClientConnection } from './client-connection.ts';
import { FairLimit } from './fair-limit.ts';
import { sendFailure } from './failure.ts';
import { newHttpServer, type ConnectionTimes } from './http-server.ts';
import { listenOn, urlOf, type WantedPort } from './listen.ts';
import type { Log } from './log.ts';
import { RateMeter } from './rate-meter.ts';
import type { ServerHandle, ServerState, ServerStatus } from './serve-types.ts';
import type { OpenedFile } from './store.ts';

export interface FileServerOptions {
  readonly id: number;
  readonly answer: Answer;
  readonly pool: BlockPool;
  /** Bytes a second. */
  readonly limit: number | undefined;
  readonly tls: { readonly cert: string; readonly key: string } | undefined;
  /** Seconds. */
  readonly grace: number;
  readonly times: ConnectionTimes;
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
  /** How its requests are answered. */
  readonly answer: Answer;
  readonly #options: FileServerOptions;
  readonly #server: Server;
  readonly #limit: FairLimit | undefined;
  readonly #connections = new Map<Socket, ClientConnection>();
  /** Those below TLS: one that never shakes hands is in no other list. */
  readonly #below = new Set<Socket>();
  readonly #meter = new RateMeter(performance.now());
  readonly #closed = Promise.withResolvers<void>();
  #listening = true;
  #state: ServerState = 'running';
  #answers = 0;
  #bytesSent = 0;
  #graceTimer: NodeJS.Timeout | undefined;
  #where = { url: '', address: '', port: 0 };

  private constructor(options: FileServerOptions) {
    this.#options = options;
    this.id = options.id;
    this.answer = options.answer;
    this.#limit = options.limit === undefined ? undefined : new FairLimit(options.limit);
    this.#server = newHttpServer(options.tls, options.times);
    if (options.tls === undefined) {
      this.#server.on('connection', (socket: Socket) => this.#connected(socket));
    } else {
      this.#server.on('connection', (socket: Socket) => {
        this.#below.add(socket);
        socket.on('close', () => this.#below.delete(socket));
      });
      this.#server.on('secureConnection', (socket: Socket) => this.#connected(socket));
    }
    this.#server.on('request', (request, response) => void this.#requested(request, response));
    this.#server.on('timeout', (socket) => this.#timedOut(socket));
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
    const url = urlOf(bound, options.tls === undefined ? 'http' : 'https');
    server.#where = { url, address: bound.address, port: bound.port };
    return server;
  }

  get url(): string {
    return this.#where.url;
  }

  get address(): string {
    return this.#where.address;
  }

  get port(): number {
    return this.#where.port;
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
      ...this.#where,
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
    for (const connection of this.#connections.values()) connection.pause();
  }

  resume(): void {
    if (this.#state !== 'paused') return;
    this.#enter('running');
    for (const connection of this.#connections.values()) connection.resume();
  }

  end(grace: number = this.#options.grace): Promise<void> {
    const was = this.#state;
    if (was === 'ended' || was === 'failed') return this.#closed.promise;
    if (was !== 'ending') {
      this.#enter('ending');
      this.#server.close(() => this.#stoppedListening('ended'));
      for (const connection of this.#connections.values()) connection.closeWhenIdle();
    }
    // A paused server has nothing that could finish.
    if (was === 'running' && grace > 0) this.#graceTimer = setTimeout(() => this.#cut(), grace * 1000);
    else this.#cut();
    return this.#closed.promise;
  }

  sendBody(
    response: ServerResponse,
    file: OpenedFile,
    range: ByteRange,
    head: () => void,
  ): BodyUnderWay | undefined {
    const { socket } = response.req;
    const connection = this.#connections.get(socket);
    if (connection === undefined) {
      // The connection was lost while the file was opened.
      file.close();
      return undefined;
    }
    this.#answers++;
    const sender = new BodySender({
      response,
      file,
      range,
      head,
      pool: this.#options.pool,
      limit: this.#limit,
      onBytes: (bytes) => {
        this.#bytesSent += bytes;
        this.#meter.add(bytes, performance.now());
      },
      onEnd: (end) => {
        this.#answers--;
        connection.senderEnded(sender);
        this.#bodyEnded(end, file, response);
      },
    });
    connection.senderBegan(sender);
    return sender;
  }

  #connected(socket: Socket): void {
    const connection = new ClientConnection(socket);
    this.#connections.set(socket, connection);
    socket.on('close', () => {
      this.#connections.delete(socket);
      connection.closed();
      if (!this.#listening) this.#stoppedListening('ended');
    });
  }

  async #requested(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const begun = performance.now();
    const connection = this.#connections.get(request.socket);
    connection?.requestBegan();
    // What cannot be sent any more is no news: the connection's end says it.
    response.on('error', () => undefined);
    response.on('close', () => {
      connection?.requestEnded();
      this.#log(request, response, begun);
    });
    try {
      await this.answer(request, response, this);
    } catch (error) {
      this.#refuse(response, error);
    }
  }

  #refuse(response: ServerResponse, cause: unknown): void {
    let error: HeadwaterError;
    if (cause instanceof HeadwaterError) error = cause;
    else error = new HeadwaterError('HW_INTERNAL', 'the server failed at answering this', { cause });
    const isFault = error.code === 'HW_INTERNAL' || error.code === 'HW_DISK';
    // One that comes of another of ours was told when that happened.
    if (isFault && !(error.cause instanceof HeadwaterError)) this.#options.onFault(error, this);
    if (response.headersSent) response.destroy();
    else sendFailure(response, error);
  }

  #bodyEnded(end: BodyEnd, { name }: OpenedFile, response: ServerResponse): void {
    if (end.how === 'sent' || end.how === 'cut') return;
    let error: HeadwaterError;
    if (end.how === 'changed') {
      const about = { server: this.id, name, client: response.req.socket.remoteAddress };
      this.#options.log.warn(about, 'the file changed while it was sent');
      const details = { reason: 'changed', retryAfter: 1 };
      error = new HeadwaterError('HW_UNAVAILABLE', `${name} has just changed; try again`, { details });
    } else {
      const { error: cause } = end;
      const isTold = cause instanceof HeadwaterError;
      error = isTold
        ? cause
        : new HeadwaterError('HW_DISK', `cannot read ${name}: ${cause.message}`, { cause });
      if (end.begun && !isTold) this.#options.onFault(error, this);
    }
    if (!end.begun) this.#refuse(response, error);
  }

  /** No byte moved on a connection for as long as its timeout says. When it is this side that waits, it stays. */
  #timedOut(socket: Socket): void {
    const connection = this.#connections.get(socket);
    if (connection === undefined) socket.destroy();
    else if (connection.waitsForClient && this.#state !== 'paused') connection.cut();
    else connection.prolong(this.#options.times.send);
  }

  #cut(): void {
    for (const connection of this.#connections.values()) connection.cut();
    for (const socket of this.#below) socket.destroy();
  }

  #failed(cause: Error): void {
    const message = `server ${this.id} on port ${this.port} failed: ${cause.message}`;
    this.#options.onFault(new HeadwaterError('HW_LISTEN', message, { cause }), this);
    this.#server.close();
    this.#cut();
    this.#stoppedListening('failed');
  }

  /** It is over once the connections are closed too. */
  #stoppedListening(state: 'ended' | 'failed'): void {
    this.#listening = false;
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
        // A query can hold a token.
        url: request.url?.split('?', 1)[0],
        range: request.headers.range,
        status: response.statusCode,
        whole: response.writableFinished,
        milliseconds: Math.round(performance.now() - begun),
      },
      response.writableFinished ? 'answered' : 'cut off',
    );
  }
}
