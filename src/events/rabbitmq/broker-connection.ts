import { Connection, type Channel } from 'rabbitmq-client';

import { HeadwaterError } from '../../core/errors.ts';

/** Milliseconds between attempts to connect: a broker that was restarted is found soon, and not besieged. */
const FIRST_RETRY = 200;
const MOST_RETRY = 5_000;
/** Seconds after which a broker that says nothing is lost; a cut cable sends no reset. */
const HEARTBEAT = 10;
/** Milliseconds for a connection to be made. */
const CONNECT_TIMEOUT = 5_000;
/** Milliseconds to wait for a connection before the caller is told that there is none. */
const ACQUIRE_TIMEOUT = 10_000;
/** Bytes of one frame: what RabbitMQ takes at most by itself. Lists of routing keys must fit into one. */
const FRAME = 131_072;
/** Milliseconds that channels may take to finish before the connection is cut. */
const CLOSE_PATIENCE = 2_000;

/** A connection to RabbitMQ that comes back by itself. */
export class BrokerConnection {
  readonly #connection: Connection;

  /**
   * @param url `amqp://USER:PASSWORD@HOST:PORT/VHOST`
   * @param onState what happened: nobody is told the password
   */
  constructor(url: string, name: string, onState: (state: 'connected' | 'away', cause?: unknown) => void) {
    this.#connection = new Connection({
      url,
      connectionName: name,
      retryLow: FIRST_RETRY,
      retryHigh: MOST_RETRY,
      heartbeat: HEARTBEAT,
      connectionTimeout: CONNECT_TIMEOUT,
      acquireTimeout: ACQUIRE_TIMEOUT,
      frameMax: FRAME,
      noDelay: true,
    });
    this.#connection.on('connection', () => onState('connected'));
    this.#connection.on('error', (error: unknown) => onState('away', brokerError(error)));
  }

  /** Whether it can be used now. */
  get isUp(): boolean {
    return this.#connection.ready;
  }

  /**
   * A channel, which the caller closes.
   *
   * @throws HeadwaterError `HW_BROKER`
   */
  async channel(): Promise<Channel> {
    try {
      const channel = await this.#connection.acquire({ emitErrorsFromChannel: true });
      // What goes wrong comes to who waits for an answer, and ends the channel.
      channel.on('error', () => undefined);
      return channel;
    } catch (error) {
      throw brokerError(error);
    }
  }

  async close(): Promise<void> {
    const timer = setTimeout(() => this.#connection.unsafeDestroy(), CLOSE_PATIENCE);
    try {
      await this.#connection.close();
    } catch {
      // Closed is closed.
    } finally {
      clearTimeout(timer);
    }
  }
}

export function brokerError(cause: unknown): HeadwaterError {
  if (cause instanceof HeadwaterError) return cause;
  const { message, code } = cause as { message?: string; code?: string };
  const said = `the message broker cannot be used now: ${message ?? String(cause)}`;
  return new HeadwaterError('HW_BROKER', said, { cause, details: { reason: code } });
}
