import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Content } from './content.ts';
import type { Misbehaviour, SeenRequest } from './misbehaviour.ts';
import { type PlannedAnswer, planAnswer, rangeOf } from './planned-answer.ts';

/** What a connection needs of its server. */
export interface ConnectionHost {
  readonly content: Content;
  readonly etag: string;
  nextNumber(): number;
  /** Notes the request and says what to do with it. */
  seen(request: SeenRequest): Misbehaviour;
  /** Body bytes handed to the system. */
  sent(bytes: number): void;
  /** Resolves when the server is not frozen. */
  thawed(): Promise<void>;
}

const PIECE = 64 * 1024;

/** Serves one accepted connection until it ends, request after request. Never rejects. */
export async function serveConnection(socket: Socket, number: number, host: ConnectionHost): Promise<void> {
  socket.on('error', () => {});
  try {
    await new FaultConnection(socket, number, host).serve();
  } catch (error) {
    // A client that goes away ends the work on its request; anything else is a defect of the test's server.
    if (!socket.destroyed) {
      socket.destroy();
      throw error;
    }
  }
}

class FaultConnection {
  readonly #socket: Socket;
  readonly #number: number;
  readonly #host: ConnectionHost;
  readonly #pieces: AsyncIterator<Buffer>;
  #unread = Buffer.alloc(0);
  #served = 0;

  constructor(socket: Socket, number: number, host: ConnectionHost) {
    this.#socket = socket;
    this.#number = number;
    this.#host = host;
    this.#pieces = socket[Symbol.asyncIterator]();
  }

  async serve(): Promise<void> {
    for (;;) {
      const request = await this.#nextRequest(this.#pieces);
      if (request === undefined) return;
      await this.#host.thawed();
      await this.#answer(request, this.#host.seen(request));
      if (this.#socket.destroyed) return;
      if (this.#socket.writableEnded) return await this.#untilClosed();
    }
  }

  async #nextRequest(pieces: AsyncIterator<Buffer>): Promise<SeenRequest | undefined> {
    const headEnd = await this.#readUntil(pieces, () => {
      const end = this.#unread.indexOf('\r\n\r\n');
      return end === -1 ? undefined : end;
    });
    if (headEnd === undefined) return undefined;
    const [requestLine = '', ...lines] = this.#unread.toString('utf8', 0, headEnd).split('\r\n');
    const [method = '', target = ''] = requestLine.split(' ');
    const headers = new Map<string, string>();
    for (const line of lines) {
      const colon = line.indexOf(':');
      headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
    }
    const bodyEnd = headEnd + 4 + Number(headers.get('content-length') ?? 0);
    const end = await this.#readUntil(pieces, () => (this.#unread.length >= bodyEnd ? bodyEnd : undefined));
    if (end === undefined) return undefined;
    const body = Uint8Array.from(this.#unread.subarray(headEnd + 4, end));
    this.#unread = this.#unread.subarray(end);
    const asked = rangeOf(headers.get('range') ?? '', this.#host.content.size);
    const range = asked === 'malformed' ? undefined : asked;
    const onConnection = ++this.#served;
    return {
      number: this.#host.nextNumber(),
      connection: this.#number,
      onConnection,
      method,
      target,
      headers,
      range,
      body,
    };
  }

  async #readUntil(
    pieces: AsyncIterator<Buffer>,
    found: () => number | undefined,
  ): Promise<number | undefined> {
    for (;;) {
      const at = found();
      if (at !== undefined) return at;
      const piece = await pieces.next();
      if (piece.done === true) return undefined;
      this.#unread = Buffer.concat([this.#unread, piece.value]);
    }
  }

  async #answer(request: SeenRequest, misbehaviour: Misbehaviour): Promise<void> {
    if (misbehaviour.delay !== undefined) await sleep(misbehaviour.delay);
    if (await this.#insteadOfAnAnswer(misbehaviour)) return;
    const answer = planAnswer(request, misbehaviour, this.#host.content, this.#host.etag);
    await this.#head(answer, misbehaviour);
    if (request.method !== 'HEAD') await this.#body(answer, misbehaviour);
    if (misbehaviour.closing === true || misbehaviour.does === 'end by closing') this.#socket.end();
  }

  /** True when the misbehaviour leaves nothing to answer. */
  async #insteadOfAnAnswer(misbehaviour: Misbehaviour): Promise<boolean> {
    const { does } = misbehaviour;
    if (does === 'reset at once' || does === 'reset on request') reset(this.#socket);
    else if (does === 'close on request') this.#socket.end();
    else if (does === 'never end the head') await this.#endlessHead();
    else if (does === 'fall silent' && misbehaviour.after === undefined) await this.#silence();
    else if (does === 'send raw') {
      await this.#write(Buffer.from(misbehaviour.bytes));
      if (misbehaviour.ending === 'close') this.#socket.end();
      if (misbehaviour.ending === 'reset') reset(this.#socket);
    } else return false;
    return true;
  }

  async #head(answer: PlannedAnswer, misbehaviour: Misbehaviour): Promise<void> {
    const lines = [answer.statusLine];
    for (const [name, value] of answer.fields) lines.push(`${name}: ${value}`);
    if (misbehaviour.closing === true) lines.push('Connection: close');
    const end = misbehaviour.does === 'use bare LF' ? '\n' : '\r\n';
    const head = Buffer.from([...lines, '', ''].join(end));
    if (misbehaviour.does === 'send interim heads') {
      for (const status of misbehaviour.statuses) {
        await this.#write(Buffer.from(`HTTP/1.1 ${status} Interim\r\nLink: </style.css>\r\n\r\n`));
      }
    }
    if (misbehaviour.does !== 'drip the head') {
      await this.#write(head);
      return;
    }
    for (const byte of head) {
      await this.#write(Buffer.of(byte));
      await sleep(misbehaviour.every);
    }
  }

  async #body(answer: PlannedAnswer, misbehaviour: Misbehaviour): Promise<void> {
    const { body, chunkSize } = answer;
    const after = 'after' in misbehaviour ? misbehaviour.after : undefined;
    const end = Math.min(body.size, after ?? Infinity);
    const started = performance.now();
    const rate = misbehaviour.bytesPerSecond;
    // Four pieces a second at least, so that a slow rate is a trickle and no row of bursts.
    const piece = Math.max(1, Math.min(chunkSize ?? PIECE, PIECE, Math.ceil((rate ?? Infinity) / 4)));
    for (let at = 0; at < end; at += piece) {
      const bytes = body.read(at, Math.min(end, at + piece));
      await this.#write(chunkSize === undefined ? bytes : chunk(bytes, misbehaviour));
      this.#host.sent(bytes.length);
      if (rate !== undefined) {
        const ahead = ((at + bytes.length) / rate) * 1000 - (performance.now() - started);
        if (ahead > 0) await sleep(ahead);
      }
    }
    if (misbehaviour.does === 'fall silent') await this.#silence();
    else if (misbehaviour.does === 'reset') await this.#resetAfterBytes();
    else if (misbehaviour.does === 'close early') this.#socket.end();
    else if (chunkSize !== undefined) {
      const adorned = misbehaviour.does === 'chunk' && misbehaviour.adorned === true;
      await this.#write(Buffer.from(adorned ? '0;last\r\nX-Checked: yes\r\n\r\n' : '0\r\n\r\n'));
    }
  }

  /** A reset makes the other system drop what was not read yet, so that what was sent last is given time to be. */
  async #resetAfterBytes(): Promise<void> {
    await sleep(20);
    reset(this.#socket);
  }

  async #silence(): Promise<void> {
    await this.#untilClosed();
    this.#socket.destroy();
  }

  /** Reads on, so that it is seen when the other side closes. */
  async #untilClosed(): Promise<void> {
    while ((await this.#pieces.next()).done !== true);
  }

  async #endlessHead(): Promise<void> {
    await this.#write(Buffer.from('HTTP/1.1 200 OK\r\n'));
    const lines = Buffer.from('X-Header: and one more\r\n'.repeat(200));
    while (!this.#socket.destroyed) await this.#write(lines);
  }

  /** Waits while the server is frozen and while the other side does not take bytes. */
  async #write(bytes: Uint8Array): Promise<void> {
    await this.#host.thawed();
    if (this.#socket.destroyed) throw new Error('the client went away');
    if (this.#socket.write(bytes)) return;
    const waiting = new AbortController();
    try {
      const { signal } = waiting;
      await Promise.race([once(this.#socket, 'drain', { signal }), once(this.#socket, 'close', { signal })]);
    } finally {
      waiting.abort();
    }
  }
}

function chunk(bytes: Uint8Array, misbehaviour: Misbehaviour): Uint8Array {
  const adorned = misbehaviour.does === 'chunk' && misbehaviour.adorned === true;
  const size = bytes.length.toString(16);
  const line = adorned ? `00${size.toUpperCase()} ; quality="good; really"` : size;
  return Buffer.concat([Buffer.from(`${line}\r\n`), bytes, Buffer.from('\r\n')]);
}

/** Node resets TCP only; TLS over it is cut off without a goodbye instead. */
export function reset(socket: Socket): void {
  if ('encrypted' in socket) socket.destroy();
  else socket.resetAndDestroy();
}
