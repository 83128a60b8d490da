import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { Server as TlsServer } from 'node:tls';
import type { Socket } from 'node:net';

/**
 * The connections of a server, and which of them have a request under way. Node closes only those at once that had a
 * request before and have none now: one that was opened in advance would hold up the end, and so would one that is kept
 * after an answer that was under way.
 */
export class OpenConnections {
  /** Each with the number of its requests that are under way. */
  readonly #sockets = new Map<Socket, number>();
  #isStopping = false;

  constructor(server: Server) {
    server.on(server instanceof TlsServer ? 'secureConnection' : 'connection', (socket: Socket) => {
      this.#sockets.set(socket, 0);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    server.on('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
      this.#count(socket, 1);
      response.once('close', () => this.#count(socket, -1));
    });
  }

  /** Ends those that have no request under way now, and the others when they have none any more. */
  endIdle(): void {
    this.#isStopping = true;
    for (const [socket, requests] of this.#sockets) if (requests === 0) socket.destroySoon();
  }

  /** Cuts all of them. */
  cut(): void {
    for (const socket of this.#sockets.keys()) socket.destroy();
  }

  #count(socket: Socket, change: 1 | -1): void {
    const requests = (this.#sockets.get(socket) ?? 0) + change;
    if (this.#sockets.has(socket)) this.#sockets.set(socket, requests);
    if (this.#isStopping && requests === 0) socket.destroySoon();
  }
}
