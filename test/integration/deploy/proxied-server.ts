import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** What stands behind nginx: tells who it is, and keeps what it was asked. */
export class ProxiedServer {
  readonly asked: {
    readonly method: string;
    readonly url: string;
    readonly headers: IncomingMessage['headers'];
  }[] = [];
  handler: Handler | undefined;
  readonly #server: Server;
  readonly #name: string;
  #port = 0;

  constructor(name: string) {
    this.#name = name;
    this.#server = createServer((request, response) => {
      this.asked.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers });
      if (this.handler !== undefined) this.handler(request, response);
      else response.end(this.#name);
    });
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** On the port that it had before, if it had one. */
  async listen(): Promise<this> {
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
    return this;
  }

  /** Nobody listens any more; connections break. */
  async close(): Promise<void> {
    if (!this.#server.listening) return;
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }
}
