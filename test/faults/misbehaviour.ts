/** A request as the server read it. */
export interface SeenRequest {
  /** From 1, over all connections of the server. */
  readonly number: number;
  /** From 1, in the order they were accepted. */
  readonly connection: number;
  /** From 1, on its connection. */
  readonly onConnection: number;
  readonly method: string;
  /** Path and query as sent. */
  readonly target: string;
  readonly headers: ReadonlyMap<string, string>;
  /** The range asked for, end exclusive and cut to the file's size; undefined when none was, or it lies outside. */
  readonly range: ByteRange | undefined;
  readonly body: Uint8Array;
}

export interface ByteRange {
  readonly from: number;
  /** Exclusive. */
  readonly to: number;
}

/** What a server does to one request. Byte counts of bodies start at the first byte of this answer's body. */
export type Misbehaviour = Pace &
  (
    | { readonly does: 'answer' }
    /** Resets every connection as soon as it is accepted. */
    | { readonly does: 'reset at once' }
    /** Resets when the request is here, before a byte of the answer. */
    | { readonly does: 'reset on request' }
    /** Closes in order when the request is here, without a byte of the answer. */
    | { readonly does: 'close on request' }
    /** Sends `after` bytes of the body, then resets. */
    | { readonly does: 'reset'; readonly after: number }
    /** Sends `after` bytes of the body, then closes in order: shorter than promised. */
    | { readonly does: 'close early'; readonly after: number }
    /** Sends `after` bytes of the body (undefined: not even a head), then nothing, and stays connected. */
    | { readonly does: 'fall silent'; readonly after?: number }
    /** One byte of the head each `every` milliseconds. */
    | { readonly does: 'drip the head'; readonly every: number }
    /** Headers without end, as fast as they are taken. */
    | { readonly does: 'never end the head' }
    /** Ends every line of the head in LF without CR. */
    | { readonly does: 'use bare LF' }
    /** Sends `line` where the status line should be. */
    | { readonly does: 'send a status line'; readonly line: string }
    /** Interim heads first, then the answer. */
    | { readonly does: 'send interim heads'; readonly statuses: readonly number[] }
    /** Chunked, in chunks of `size` bytes, with extensions and trailers if `adorned`. */
    | { readonly does: 'chunk'; readonly size: number; readonly adorned?: boolean }
    /** Compresses the body and says so. */
    | { readonly does: 'compress' }
    /** No Content-Length; the end of the connection ends the body. */
    | { readonly does: 'end by closing' }
    /** Answers 200 with the whole file, whatever range is asked. */
    | { readonly does: 'ignore ranges' }
    /** The right bytes under this Content-Range; undefined: under none. */
    | { readonly does: 'state a range'; readonly contentRange?: string }
    /** Sends a range that begins and ends elsewhere, and says so in Content-Range only if `stated`. */
    | {
        readonly does: 'shift the range';
        readonly from: number;
        readonly to: number;
        readonly stated: boolean;
      }
    /** Sends `extra` bytes more than promised. */
    | { readonly does: 'send too much'; readonly extra: number }
    /** Another ETag for every request. */
    | { readonly does: 'change the ETag' }
    | { readonly does: 'redirect'; readonly to: string; readonly status?: number }
    /** An answer without the file: 401, 404, 429, 500, 503 … */
    | { readonly does: 'refuse'; readonly status: number; readonly retryAfter?: number | string }
    /** Flips one bit of the file's byte `at` whenever it is sent. */
    | { readonly does: 'flip a bit'; readonly at: number }
    /** Other bytes than the file's, as many, between `from` and `to` (default: everywhere). */
    | { readonly does: 'lie'; readonly from?: number; readonly to?: number }
    /** Holds a file of another size: cut off, or longer by zeros. */
    | { readonly does: 'hold another size'; readonly size: number }
    /** Anything else that is HTTP. */
    | {
        readonly does: 'send';
        readonly status: number;
        readonly headers?: Readonly<Record<string, string>>;
        readonly body?: Uint8Array | string;
      }
    /** Anything else: these bytes as they are. */
    | {
        readonly does: 'send raw';
        readonly bytes: Uint8Array | string;
        readonly ending: 'stay' | 'close' | 'reset';
      }
  );

interface Pace {
  /** Milliseconds before the first byte of the answer. */
  readonly delay?: number;
  /** Most bytes of the body a second, for this request. */
  readonly bytesPerSecond?: number;
  /** Says `Connection: close` and closes after the answer. */
  readonly closing?: boolean;
}

/** The same for every request, or chosen for each. */
export type Script = Misbehaviour | ((request: SeenRequest) => Misbehaviour);

export const HONEST: Misbehaviour = { does: 'answer' };

/** `misbehaviour` for the first `count` requests, then `afterwards`. */
export function first(count: number, misbehaviour: Misbehaviour, afterwards: Misbehaviour = HONEST): Script {
  let left = count;
  return () => (left-- > 0 ? misbehaviour : afterwards);
}
