import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';

import type { DownloadSource } from '../../../src/core/api/files.ts';
import { ERRORS, type ErrorCode } from '../../../src/core/errors.ts';
import { canonicalManifest, type Manifest } from '../../../src/core/manifest.ts';

/** What an information server was asked. */
export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly token: string | undefined;
  readonly body: unknown;
}

/** An answer: a value, or an error by its code. */
export type Answer =
  | { readonly value: unknown; readonly status?: number }
  | { readonly code: ErrorCode; readonly message?: string; readonly retryAfter?: number }
  | { readonly text: string; readonly status: number; readonly headers?: Record<string, string> }
  /** The connection is reset, after the request was read. */
  | 'reset'
  /** Nobody ever answers. */
  | 'nothing';

/** What it answers; `signal` fires when the client has gone. */
export type InformationScript = (asked: Asked, signal: AbortSignal) => Answer | Promise<Answer>;

/** A real HTTP server that answers as a script says, in the place of an information server. */
export class InformationStandIn {
  readonly asked: Asked[] = [];
  readonly #server: Server;
  readonly #answer: InformationScript;
  port = 0;

  private constructor(answer: InformationScript) {
    this.#answer = answer;
    this.#server = createServer((request, response) => void this.#take(request, response));
  }

  static async start(answer: InformationScript, port = 0): Promise<InformationStandIn> {
    const made = new InformationStandIn(answer);
    made.#server.listen(port, '127.0.0.1');
    await once(made.#server, 'listening');
    made.port = (made.#server.address() as AddressInfo).port;
    return made;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** As if its machine had lost power. */
  async close(): Promise<void> {
    if (!this.#server.listening) return;
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '', this.url);
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    const asked: Asked = {
      method: request.method ?? '',
      path: decodeURIComponent(url.pathname),
      query: Object.fromEntries(url.searchParams),
      token: request.headers.authorization?.replace(/^Bearer /, ''),
      body: request.headers['content-type'] === undefined ? undefined : await json(request),
    };
    this.asked.push(asked);
    const answer = await this.#answer(asked, gone.signal);
    if (answer === 'nothing') return;
    if (answer === 'reset') {
      request.socket.resetAndDestroy();
      return;
    }
    if ('text' in answer) {
      response.writeHead(answer.status, answer.headers).end(answer.text);
      return;
    }
    if ('code' in answer) {
      const { code, message = 'told so', retryAfter } = answer;
      if (retryAfter !== undefined) response.setHeader('retry-after', retryAfter);
      response.writeHead(ERRORS[code].http, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ code, message, details: {} }));
      return;
    }
    response.writeHead(answer.status ?? 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(answer.value));
  }
}

/** The manifest of some bytes, and its name. */
export function manifestOf(bytes: Uint8Array, chunkSize: number): { manifest: Manifest; digest: string } {
  const sha256 = (piece: Uint8Array): string => createHash('sha256').update(piece).digest('hex');
  const chunks: string[] = [];
  for (let at = 0; at < bytes.length; at += chunkSize)
    chunks.push(sha256(bytes.subarray(at, at + chunkSize)));
  const manifest: Manifest = { version: 1, size: bytes.length, chunkSize, sha256: sha256(bytes), chunks };
  return { manifest, digest: createHash('sha256').update(canonicalManifest(manifest)).digest('hex') };
}

export interface FileStandInOptions {
  readonly name: string;
  readonly zone: string;
  readonly bytes: Uint8Array;
  /** Whether a token is good now. */
  readonly allows?: (token: string | undefined) => boolean;
  /** Bytes a second. */
  readonly rate?: number;
}

/** A real HTTP server of one file that asks for grants, in the place of a file server. */
export class FileStandIn {
  /** Chunks that were reported. */
  readonly reports: { chunk: number; token: string | undefined }[] = [];
  bytesSent = 0;
  readonly #server: Server;
  readonly #options: FileStandInOptions;

  private constructor(options: FileStandInOptions) {
    this.#options = options;
    this.#server = createServer((request, response) => void this.#take(request, response));
  }

  static async start(options: FileStandInOptions): Promise<FileStandIn> {
    const made = new FileStandIn(options);
    made.#server.listen(0, '127.0.0.1');
    await once(made.#server, 'listening');
    return made;
  }

  /** As the fleet tells of it. */
  source(file: string, state = 'running'): DownloadSource {
    const { port } = this.#server.address() as AddressInfo;
    const { name, zone } = this.#options;
    return {
      id: `id-of-${name}`,
      name,
      zone,
      url: `http://127.0.0.1:${port}/v1/files/${file}`,
      state,
      has: 'all',
    };
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { bytes, allows = () => true, rate = Infinity } = this.#options;
    const token = request.headers.authorization?.replace(/^Bearer /, '');
    if (request.method === 'POST') {
      const { chunk } = (await json(request)) as { chunk: number };
      this.reports.push({ chunk, token });
      response.end(JSON.stringify({ verdict: 'good' }));
      return;
    }
    if (!allows(token)) {
      const said = JSON.stringify({ code: 'HW_TOKEN_EXPIRED', message: 'over', details: {} });
      response
        .writeHead(401, { 'content-type': 'application/json', 'content-length': said.length })
        .end(said);
      return;
    }
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
    const from = Number(range?.[1] ?? 0);
    const to = Math.min(
      bytes.length,
      range?.[2] === undefined || range[2] === '' ? bytes.length : Number(range[2]) + 1,
    );
    response.writeHead(range === null ? 200 : 206, {
      'content-length': to - from,
      'content-range': `bytes ${from}-${to - 1}/${bytes.length}`,
    });
    const piece = 16_384;
    for (let at = from; at < to && !response.destroyed; at += piece) {
      const end = Math.min(to, at + piece);
      response.write(bytes.subarray(at, end));
      this.bytesSent += end - at;
      if (rate !== Infinity) await sleep(((end - at) / rate) * 1000);
    }
    response.end();
  }
}
