import { request as httpRequest, type Agent, type ClientRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';

import { ErrorAnswer } from '../../core/api/common.ts';
import { ChunkStored } from '../../core/api/uploads.ts';
import { ERRORS, HeadwaterError, type ErrorCode } from '../../core/errors.ts';
import { jsonOf } from '../fleet/json-body.ts';
import {
  FORWARD_ANSWER,
  FORWARD_PATIENCE,
  FORWARD_STALL,
  LEAST_FORWARD_RATE,
  MOST_PEER_ANSWER,
} from './limits.ts';
import type { Peer } from './peers.ts';

export interface ForwardOptions {
  readonly peer: Peer;
  /** Ids of the holders after it. */
  readonly next: readonly string[];
  readonly digest: string;
  readonly size: number;
  /** What the chunk came with. */
  readonly token: string;
  readonly agent: Agent;
}

/**
 * A chunk on its way to the next holder, in the same pieces in which it arrives. A next holder that stops taking them is given
 * up: whatever goes wrong here is this hop's failure, and nobody waits for it longer than said.
 */
export class Forward {
  readonly peer: Peer;
  readonly #request: ClientRequest;
  readonly #answer: Promise<ChunkStored>;
  #failure: HeadwaterError | undefined;
  #drained: PromiseWithResolvers<void> | undefined;
  /** Milliseconds that it may still hold the chunk up. */
  #patience: number;
  #fullSince = 0;
  #timer: NodeJS.Timeout | undefined;
  #answered = false;
  /** How many there are behind it. */
  readonly #behind: number;

  constructor({ peer, next, digest, size, token, agent }: ForwardOptions) {
    this.peer = peer;
    this.#behind = next.length;
    this.#patience = FORWARD_PATIENCE + (size / LEAST_FORWARD_RATE) * 1000;
    const url = new URL(`${peer.url.replace(/\/+$/, '')}/v1/chunks/${digest}`);
    if (next.length > 0) url.searchParams.set('next', next.join(','));
    const start = url.protocol === 'https:' ? httpsRequest : httpRequest;
    this.#request = start(url, {
      method: 'PUT',
      agent,
      headers: {
        authorization: `Bearer ${token}`,
        'content-type': 'application/octet-stream',
        'content-length': size,
      },
    });
    const { promise, resolve, reject } = Promise.withResolvers<ChunkStored>();
    this.#answer = promise;
    // Asked for in the end, if at all.
    promise.catch(() => undefined);
    const fail = (error: HeadwaterError): void => {
      this.#failure ??= error;
      this.#release();
      reject(this.#failure);
      this.#request.destroy();
    };
    this.#fail = fail;
    this.#request.on('drain', () => this.#release());
    this.#request.on('error', (cause: NodeJS.ErrnoException) => {
      fail(new HeadwaterError('HW_CONNECT', `${peer.url} ${whyNot(cause)}`, { cause }));
    });
    this.#request.on('response', (response) => {
      this.#answered = true;
      this.#release();
      readAnswer(response, peer).then(resolve, fail);
    });
    this.#watch(FORWARD_STALL);
  }

  readonly #fail: (error: HeadwaterError) => void;

  get failure(): HeadwaterError | undefined {
    return this.#failure;
  }

  /** Hands the next bytes on; false: `ready` says when it takes more. */
  take(part: Buffer, done: () => void): boolean {
    // Who has answered before the end knows enough.
    if (this.#failure !== undefined || this.#answered) return true;
    if (this.#request.write(part, (error) => void (error ?? done()))) return true;
    this.#drained ??= Promise.withResolvers<void>();
    this.#fullSince = performance.now();
    this.#watch(Math.min(FORWARD_STALL, this.#patience));
    return false;
  }

  async ready(): Promise<void> {
    await this.#drained?.promise;
  }

  /**
   * Nothing more comes. Resolves with what the next holders have made of it.
   *
   * @throws HeadwaterError why the next one has not
   */
  async finish(): Promise<ChunkStored> {
    if (this.#failure === undefined && !this.#answered) this.#request.end();
    if (!this.#answered) this.#watch(FORWARD_ANSWER * (1 + this.#behind));
    try {
      return await this.#answer;
    } finally {
      clearTimeout(this.#timer);
      if (!this.#request.writableFinished) this.#request.destroy();
    }
  }

  /** It is of no use any more. */
  drop(): void {
    this.#fail(new HeadwaterError('HW_INTERRUPTED', 'the chunk was not sent to its end'));
    clearTimeout(this.#timer);
  }

  #watch(milliseconds: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#fail(
        new HeadwaterError('HW_SILENT', `${this.peer.url} takes the chunk too slowly, or not at all`),
      );
    }, milliseconds).unref();
  }

  #release(): void {
    clearTimeout(this.#timer);
    const drained = this.#drained;
    if (drained === undefined) return;
    this.#drained = undefined;
    this.#patience = Math.max(0, this.#patience - (performance.now() - this.#fullSince));
    drained.resolve();
  }
}

async function readAnswer(response: IncomingMessage, peer: Peer): Promise<ChunkStored> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > MOST_PEER_ANSWER) break;
    parts.push(part);
  }
  const value = jsonOf(Buffer.concat(parts).toString());
  const stored = ChunkStored.safeParse(value);
  if (response.statusCode === 200 && stored.success) return stored.data;
  const refusal = ErrorAnswer.safeParse(value);
  if (refusal.success && refusal.data.code in ERRORS) {
    throw new HeadwaterError(refusal.data.code as ErrorCode, refusal.data.message, {
      details: refusal.data.details,
    });
  }
  throw new HeadwaterError('HW_PROTOCOL', `${peer.url} answers ${response.statusCode} to a chunk`);
}

function whyNot({ code, message }: NodeJS.ErrnoException): string {
  return code === 'ECONNREFUSED' ? 'cannot be reached: connection refused' : `cannot be reached: ${message}`;
}
