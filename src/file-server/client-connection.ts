import type { Socket } from 'node:net';

import type { BodySender } from './body-sender.ts';

/** One connection of a client: the requests on it that are not answered yet, and the bodies on their way. */
export class ClientConnection {
  readonly #socket: Socket;
  readonly #senders = new Set<BodySender>();
  #requests = 0;
  #last = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  requestBegan(): void {
    this.#requests++;
  }

  requestEnded(): void {
    this.#requests--;
    if (this.#last) this.closeWhenIdle();
  }

  senderBegan(sender: BodySender): void {
    this.#senders.add(sender);
  }

  senderEnded(sender: BodySender): void {
    this.#senders.delete(sender);
  }

  pause(): void {
    for (const sender of this.#senders) sender.pause();
  }

  resume(): void {
    for (const sender of this.#senders) sender.resume();
  }

  /** Whether the client could have taken bytes and did not, or could have asked for something. */
  get waitsForClient(): boolean {
    return this.#requests === 0 || [...this.#senders].some((each) => each.waitsForClient);
  }

  /** Its timeout begins anew. */
  prolong(milliseconds: number): void {
    this.#socket.setTimeout(milliseconds);
  }

  /** Closes it now, or after the answers under way. */
  closeWhenIdle(): void {
    this.#last = true;
    if (this.#requests === 0) this.#socket.destroySoon();
  }

  cut(): void {
    this.#socket.destroy();
  }

  /** The socket is closed. */
  closed(): void {
    for (const sender of this.#senders) sender.connectionClosed();
  }
}
