import type { FaultKind } from '../../core/scheduler/types.ts';
import type { ResponseHead } from '../../transport/connection.ts';
import { retryAfter, SourceError } from './fault.ts';

/** Bytes of an answer without content that are read, for what it says; ours have a few hundred. */
const MOST_WORDS = 16 * 1024;
/** Characters of a server's own message that are shown. */
const MOST_MESSAGE = 300;
/** Control characters, and those that make a terminal show the rest in another order. */
const UNSAFE = /[\p{Cc}\u202a-\u202e\u2066-\u2069]+/gu;

/** What the codes of a Headwater server mean for a download, where that is more than the status says. */
const KINDS: ReadonlyMap<string, FaultKind> = new Map([
  ['HW_TOKEN_EXPIRED', 'expired'],
  ['HW_GRANT_REVOKED', 'revoked'],
  ['HW_NOT_HERE', 'not-here'],
]);

/** Ends an answer of which enough was read. */
export class EnoughSaid extends Error {}

/** An answer that brings no content: its body, where a Headwater server says in JSON why, and what follows from it. */
export class Refusal {
  readonly #head: ResponseHead;
  readonly #shown: string;
  readonly #memory: Uint8Array;
  #length = 0;

  private constructor(head: ResponseHead, shown: string, most: number) {
    this.#head = head;
    this.#shown = shown;
    this.#memory = new Uint8Array(most);
  }

  /** Undefined for an answer that brings content, and for one whose body is not worth reading. */
  static of(head: ResponseHead, shown: string): Refusal | undefined {
    const { status, headers } = head;
    if (status < 400 || !/^application\/json\b/i.test(headers.get('content-type') ?? '')) return undefined;
    const length = Number(headers.get('content-length') ?? 'NaN');
    return length > 0 && length <= MOST_WORDS ? new Refusal(head, shown, length) : undefined;
  }

  /** @throws EnoughSaid */
  buffer(): Uint8Array {
    if (this.#length === this.#memory.length) throw new EnoughSaid();
    return this.#memory.subarray(this.#length);
  }

  received(length: number): void {
    this.#length += length;
  }

  /** What follows, with the server's own words as far as they came. */
  get error(): SourceError {
    const { code, message } = this.#said();
    const own = message?.replaceAll(UNSAFE, ' ').trim().slice(0, MOST_MESSAGE);
    const error = statusError(this.#head, this.#shown, own);
    const kind = code === undefined ? undefined : KINDS.get(code);
    return kind === undefined ? error : new SourceError({ ...error.fault, kind }, error.message);
  }

  #said(): { code?: string; message?: string } {
    try {
      const said: unknown = JSON.parse(new TextDecoder().decode(this.#memory.subarray(0, this.#length)));
      if (typeof said !== 'object' || said === null) return {};
      const { code, message } = said as Record<string, unknown>;
      return {
        ...(typeof code === 'string' ? { code } : {}),
        ...(typeof message === 'string' ? { message } : {}),
      };
    } catch {
      return {};
    }
  }
}

/** What follows from a status that brings no content. @param own what the server says of it */
export function statusError(head: ResponseHead, url: string, own?: string): SourceError {
  const { status, headers } = head;
  const says = `${url} answers ${status}${own === undefined || own === '' ? '' : `: ${own}`}`;
  if (status === 401 || status === 403 || status === 407)
    return new SourceError({ kind: 'not-allowed' }, says);
  if (status === 404 || status === 410) return new SourceError({ kind: 'not-found' }, says);
  if (status === 416)
    return new SourceError({ kind: 'wrong-range' }, `${says} to a range that lies in the file`);
  if (status === 429 || status >= 500) {
    const wait = retryAfter(headers.get('retry-after'), Date.now());
    return new SourceError(
      { kind: 'unavailable', ...(wait === undefined ? {} : { retryAfter: wait }) },
      says,
    );
  }
  if (status >= 300 && status < 400)
    return new SourceError({ kind: 'redirect' }, `${says} in the middle of a download`);
  return new SourceError({ kind: 'protocol' }, says);
}
