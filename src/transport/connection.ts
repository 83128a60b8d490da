/**
 * What the rest of the program sees of HTTP/1.1: a connection that answers one request after another and puts
 * body bytes straight into memory that its user hands out.
 */

/** Status and headers of a final (not 1xx) answer. Header names are lower case; repeated ones are joined by ", ". */
export interface ResponseHead {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
}

export interface Request {
  readonly method: 'GET' | 'HEAD' | 'POST';
  /** Must have the connection's origin. User and password become Basic authorization and are shown nowhere. */
  readonly url: URL;
  /** Sent besides Host, which may be given, and Connection and Content-Length, which may not. */
  readonly headers: Readonly<Record<string, string>>;
  /** Sent with a Content-Length; only with POST. */
  readonly body?: Uint8Array;
}

/** Takes one answer. Anything it throws destroys the connection and rejects `send` with the same error. */
export interface Receiver {
  /** The head has arrived. */
  head(head: ResponseHead): void;
  /**
   * Where the next body bytes go (one byte or more), or undefined: the transport stops reading until `resume`. The
   * memory is the transport's until `received` or until `send` is settled. The more is offered at once, the less a
   * byte costs: a megabyte and more is best.
   */
  buffer(): Uint8Array | undefined;
  /** `length` bytes were put at the front of the buffer given last. That memory is the receiver's again. */
  received(length: number): void;
}

/** One HTTP/1.1 connection, opened by its first request and opened again by the next one after it was lost. */
export interface Connection {
  /**
   * Sends a request and feeds its answer to `receiver`. One at a time. Resolves when the whole body was received. A
   * GET or HEAD on a socket that fails before one byte of its answer came, after it had carried another, is sent once
   * more on a new one. How long an answer may take, once the connection stands, is the caller's to say, with `close`.
   *
   * @throws HeadwaterError `HW_CONNECT` (refused, unreachable, reset or closed before the body was whole),
   *   `HW_TLS`, `HW_PROTOCOL` (not HTTP, or head too long), `HW_NOT_ALLOWED` (a proxy wants credentials), `HW_USAGE`
   *   (a header that HTTP does not allow, a certificate that cannot be read); `details.url` names the source
   */
  send(request: Request, receiver: Receiver): Promise<void>;
  /**
   * Stops taking body bytes until `resume`, over the end of a request if need be; for rate limits. Bytes that the
   * kernel has already buffered stay there; a head still arrives.
   */
  pause(): void;
  /** Goes on after `pause`, or after `buffer()` gave undefined. */
  resume(): void;
  /**
   * Closes at once; a request under way is rejected with `reason` (default: `HW_INTERRUPTED`). Can be used again: the
   * next `send` reconnects.
   */
  close(reason?: Error): void;
  /** How many times a socket was opened so far. */
  readonly opened: number;
}

export interface TransportSettings {
  /** Milliseconds until an unanswered connect (TCP, and TLS with it) fails. */
  readonly connectTimeout: number;
  readonly tls: {
    /** PEM; trusted besides the system's authorities. */
    readonly ca?: string;
    readonly cert?: string;
    readonly key?: string;
    /** Accepts any certificate. */
    readonly insecure?: boolean;
  };
  /** The proxy for an origin, by the usual environment variables, or undefined for none. */
  readonly proxyFor: (url: URL) => URL | undefined;
}
