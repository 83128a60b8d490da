import { type OnReadOpts, type Socket, connect, isIP } from 'node:net';

import { secureContext } from './authorities.ts';
import type { TransportSettings } from './connection.ts';
import { nodeTls } from './node-tls.ts';

/** What a wire tells the connection that owns it. Nothing of this may throw. */
export interface WireOwner {
  /** Where the next bytes may be read to, or undefined: they are read aside and handed to `read`. */
  memory(): Uint8Array | undefined;
  /** `length` bytes are at the front of the memory given last. */
  landed(length: number): void;
  /** Bytes that were read aside; they are gone after the call. */
  read(bytes: Uint8Array): void;
  /** The last call: the server closed the connection (no error), or it failed. Not called after `destroy`. */
  over(error: Error | undefined): void;
}

/**
 * Heads, framing and what comes while nobody takes it is read here. One for all: what is read into it is used before
 * the next read of any wire can happen.
 */
const ASIDE = new Uint8Array(64 * 1024);

/**
 * Milliseconds before the next address of a name is tried. Node gives up on the address tried before, so this must be
 * longer than a handshake takes across the world and back on a poor line.
 */
const NEXT_ADDRESS_AFTER = 1000;

/** Milliseconds of rest after which the system asks whether the other side still lives. */
const KEEP_ALIVE_AFTER = 10_000;

/**
 * One socket, TCP or TLS, that reads into memory its owner gives. Node asks for the memory of the next read right
 * after each read, and a read that was paused in between still goes where it was to go; so what is not the owner's
 * to give is always read aside.
 */
export class Wire {
  readonly #owner: WireOwner;
  readonly #socket: Socket;
  readonly #connectTimer: NodeJS.Timeout;
  #over = false;
  /** Written before the connection stood. A handshake that fails would otherwise be reported as a failed write. */
  #waiting: Uint8Array[] | undefined = [];
  /** The owner's memory that the next read fills. */
  #memory: Uint8Array | undefined;

  /** @throws HeadwaterError `HW_USAGE` when the TLS settings cannot be used */
  constructor(origin: URL, settings: TransportSettings, owner: WireOwner) {
    this.#owner = owner;
    this.#socket = open(origin, settings, {
      buffer: () => (this.#memory = this.#over ? undefined : owner.memory()) ?? ASIDE,
      callback: (length) => {
        this.#read(length);
        return true;
      },
    });
    const { connectTimeout } = settings;
    this.#connectTimer = setTimeout(() => {
      this.#end(connectTimedOut(connectTimeout));
    }, connectTimeout);
    this.#socket
      .on(origin.protocol === 'https:' ? 'secureConnect' : 'connect', () => this.#ready())
      .on('error', (error) => this.#end(error))
      .on('end', () => this.#end(undefined))
      .on('close', () => this.#end(undefined));
  }

  /** Everything written has been handed to the system. */
  get flushed(): boolean {
    return this.#waiting === undefined && this.#socket.writableLength === 0;
  }

  write(bytes: Uint8Array): void {
    if (this.#waiting === undefined) this.#socket.write(bytes);
    else this.#waiting.push(bytes);
  }

  /** Stops reading. TLS may hand over what it had already read. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Closes at once; memory that the owner gave is its own again. */
  destroy(): void {
    this.#over = true;
    this.#memory = undefined;
    clearTimeout(this.#connectTimer);
    this.#socket.destroy();
  }

  #ready(): void {
    clearTimeout(this.#connectTimer);
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const bytes of waiting) this.#socket.write(bytes);
  }

  #read(length: number): void {
    if (this.#over) return;
    if (this.#memory !== undefined) this.#owner.landed(length);
    else this.#owner.read(ASIDE.subarray(0, length));
  }

  #end(error: Error | undefined): void {
    if (this.#over) return;
    this.destroy();
    this.#owner.over(error);
  }
}

function open(origin: URL, settings: TransportSettings, onread: OnReadOpts): Socket {
  const host = origin.hostname.replace(/^\[(.*)\]$/, '$1');
  const shared = {
    host,
    onread,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_AFTER,
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: NEXT_ADDRESS_AFTER,
  };
  if (origin.protocol !== 'https:') return connect({ ...shared, port: Number(origin.port || 80) });
  return nodeTls().connect({
    ...shared,
    port: Number(origin.port || 443),
    // An address is no server name: RFC 6066 section 3.
    servername: isIP(host) === 0 ? host : '',
    ALPNProtocols: ['http/1.1'],
    secureContext: secureContext(settings.tls),
    rejectUnauthorized: settings.tls.insecure !== true,
  });
}

/** As the system reports its own timeouts, which take minutes. */
function connectTimedOut(milliseconds: number): Error {
  return Object.assign(new Error(`no connection within ${milliseconds / 1000} s`), { code: 'ETIMEDOUT' });
}
