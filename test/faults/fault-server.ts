import { once } from 'node:events';
import { type AddressInfo, type Server, type Socket, createServer } from 'node:net';
import { type TlsOptions, createServer as createTlsServer } from 'node:tls';

import type { Content } from './content.ts';
import { reset, serveConnection } from './fault-connection.ts';
import { type ByteRange, HONEST, type Misbehaviour, type Script, type SeenRequest } from './misbehaviour.ts';

export * from './content.ts';
export * from './misbehaviour.ts';

export interface FaultServerOptions {
  readonly content: Content;
  /** What it does at first. Default: answers as it should. */
  readonly script?: Script;
  /** Default 127.0.0.1. */
  readonly address?: string;
  /** Default: any free one. */
  readonly port?: number;
  /** Strong, in quotes. Default: made of the size. */
  readonly etag?: string;
  readonly tls?: TlsOptions;
  /** Path in `url`. Default "file.bin"; every path is answered alike. */
  readonly name?: string;
}

/** Counted since the start, or since `forget`. */
export interface Counters {
  /** Accepted connections. */
  connections: number;
  requests: number;
  /** Body bytes handed to the system. */
  bytesSent: number;
  /** Of requests that asked for a range the file has, in order. */
  ranges: ByteRange[];
  seen: SeenRequest[];
}

/**
 * A web server over one file that really does what a `Script` says: resets, stalls, lies. It speaks HTTP by hand, over
 * plain sockets, so that it can break every rule of it.
 */
export class FaultServer {
  counters: Counters = noneCounted();
  readonly #options: FaultServerOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #work = new Set<Promise<void>>();
  #script: Script;
  #port = 0;
  #requests = 0;
  #connections = 0;
  #frozen: PromiseWithResolvers<void> | undefined;

  private constructor(options: FaultServerOptions) {
    this.#options = options;
    this.#script = options.script ?? HONEST;
    this.#server =
      options.tls === undefined
        ? createServer({ noDelay: true }, (socket) => this.#accept(socket))
        : createTlsServer(options.tls, (socket) => this.#accept(socket));
  }

  static async start(options: FaultServerOptions): Promise<FaultServer> {
    const server = new FaultServer(options);
    server.#port = options.port ?? 0;
    await server.comeBack();
    return server;
  }

  get port(): number {
    return this.#port;
  }

  get url(): URL {
    return this.urlOf(this.#options.name ?? 'file.bin');
  }

  urlOf(name: string): URL {
    const { tls, address = '127.0.0.1' } = this.#options;
    const host = address.includes(':') ? `[${address}]` : address;
    return new URL(
      `${tls === undefined ? 'http' : 'https'}://${host}:${this.#port}/${encodeURIComponent(name)}`,
    );
  }

  /** Connections that are open now. */
  get open(): number {
    return this.#sockets.size;
  }

  /** From the next request on; what is being sent goes on as it began. */
  behave(script: Script): void {
    this.#script = script;
  }

  /** Connections stay, nothing is sent, as from a stopped process, until `thaw`. */
  freeze(): void {
    this.#frozen ??= Promise.withResolvers();
  }

  thaw(): void {
    this.#frozen?.resolve();
    this.#frozen = undefined;
  }

  /** Resets every connection, as a process that was killed. */
  resetConnections(): void {
    for (const socket of this.#sockets) reset(socket);
  }

  /** Closes the port and resets every connection; connects are refused until `comeBack`. */
  async leave(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.resetConnections();
    await closed;
  }

  /** Listens again, on the same port. */
  async comeBack(): Promise<void> {
    this.#server.listen(this.#port, this.#options.address ?? '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  forget(): void {
    this.counters = noneCounted();
  }

  async close(): Promise<void> {
    this.thaw();
    if (this.#server.listening) await this.leave();
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(this.#work);
    this.#options.content.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #accept(socket: Socket): void {
    const number = ++this.#connections;
    this.counters.connections++;
    socket.on('error', () => {});
    if (typeof this.#script !== 'function' && this.#script.does === 'reset at once') {
      reset(socket);
      return;
    }
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    const work = serveConnection(socket, number, {
      content: this.#options.content,
      etag: this.#options.etag ?? `"size ${this.#options.content.size}"`,
      nextNumber: () => ++this.#requests,
      seen: (request) => this.#seen(request),
      sent: (bytes) => {
        this.counters.bytesSent += bytes;
      },
      thawed: () => this.#frozen?.promise ?? Promise.resolve(),
    });
    this.#work.add(work);
    void work.finally(() => this.#work.delete(work));
  }

  #seen(request: SeenRequest): Misbehaviour {
    this.counters.requests++;
    this.counters.seen.push(request);
    if (request.range !== undefined) this.counters.ranges.push(request.range);
    return typeof this.#script === 'function' ? this.#script(request) : this.#script;
  }
}

/** A URL on loopback whose port was free a moment ago, so that connecting is refused. */
export async function refusingUrl(): Promise<URL> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return new URL(`http://127.0.0.1:${port}/file.bin`);
}

function noneCounted(): Counters {
  return { connections: 0, requests: 0, bytesSent: 0, ranges: [], seen: [] };
}
