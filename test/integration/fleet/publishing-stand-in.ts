import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer, json } from 'node:stream/consumers';

import { Bitmap } from '../../../src/core/bitmap.ts';
import { ERRORS, type ErrorCode } from '../../../src/core/errors.ts';
import { unpackManifest } from '../../../src/core/manifest-binary.ts';
import type { Manifest } from '../../../src/core/manifest.ts';

/** An error that is answered. */
export interface Refusal {
  readonly code: ErrorCode;
  readonly details?: Readonly<Record<string, unknown>>;
}

/** A file server's place in a fleet that takes chunks, as a script says. */
export class StoreStandIn {
  readonly id: string;
  readonly zone: string;
  open = true;
  readonly chunks = new Set<string>();
  /** Chunks that came over the wire, in order. */
  readonly came: string[] = [];
  tokens = new Set<string>();
  /** What it does with the next chunk instead of taking it. */
  refuse: (token: string) => Refusal | 'reset' | undefined = () => undefined;
  url = '';

  constructor(id: string, zone: string) {
    this.id = id;
    this.zone = zone;
  }
}

const ID = (number: number): string => `00000000-0000-7000-8000-${String(number).padStart(12, '0')}`;

/** A real HTTP server for everybody in a fleet: the information server, and file servers that pass chunks on. */
export class PublishingStandIn implements AsyncDisposable {
  readonly stores: StoreStandIn[];
  /** The manifests that were committed, or were to be. */
  readonly commits: Manifest[] = [];
  /** What a commit is answered with instead. */
  refuseCommit: (manifest: Manifest) => Refusal | 'reset' | undefined = () => undefined;
  renewals = 0;
  begun: unknown;
  readonly #server: Server;

  private constructor(zones: readonly string[]) {
    this.stores = zones.map((zone, index) => new StoreStandIn(ID(index + 1), zone));
    this.#server = createServer((request, response) => void this.#take(request, response));
  }

  /** @param zones of each file server */
  static async start(zones: readonly string[]): Promise<PublishingStandIn> {
    const made = new PublishingStandIn(zones);
    made.#server.listen(0, '127.0.0.1');
    await once(made.#server, 'listening');
    for (const store of made.stores) store.url = `${made.url}/${store.id}`;
    return made;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  get #list() {
    const servers = this.stores.map(({ id, zone, url, open }) => ({
      id,
      name: `store-${id.at(-1)}`,
      zone,
      url,
      weight: 1_000_000,
      open,
    }));
    const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
    const answer = { id: ID(99), token: `token-${this.renewals}`, expiresAt, keepUntil: expiresAt };
    return { ...answer, replicas: 2, zones: 2, servers };
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '', this.url);
    const [, first = ''] = url.pathname.split('/');
    const store = this.stores.find(({ id }) => id === first);
    try {
      if (store !== undefined) await this.#atStore(store, url, request, response);
      else await this.#atInformation(url, request, response);
    } catch {
      // Whoever asked has gone.
      response.destroy();
    }
  }

  async #atInformation(url: URL, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = `${request.method} ${url.pathname.replace(ID(99), ':id')}`;
    if (path === 'POST /v1/uploads') {
      this.begun = await json(request);
      return send(response, this.#list);
    }
    if (path === 'GET /v1/uploads/:id/servers') return send(response, this.#list);
    if (path === 'POST /v1/uploads/:id/renew') {
      this.renewals++;
      return send(response, this.#list);
    }
    if (path === 'POST /v1/uploads/:id/commit') {
      const manifest = unpackManifest(await buffer(request), 'the test');
      this.commits.push(manifest);
      const refusal = this.refuseCommit(manifest);
      if (refusal !== undefined) return refused(request, response, refusal);
      return send(response, { id: ID(77), name: 'x', size: manifest.size, sha256: manifest.sha256 });
    }
    return refused(request, response, { code: 'HW_NOT_FOUND' });
  }

  async #atStore(
    store: StoreStandIn,
    url: URL,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const name = url.pathname.split('/').at(-1) ?? '';
    if (name === 'check') {
      const { digests } = (await json(request)) as { digests: string[] };
      const has = new Bitmap(digests.length);
      for (const [at, digest] of digests.entries()) if (store.chunks.has(digest)) has.add(at);
      return send(response, { has: Buffer.from(has.bytes).toString('base64') });
    }
    const token = (request.headers.authorization ?? '').replace('Bearer ', '');
    store.tokens.add(token);
    const refusal = store.refuse(token);
    if (refusal !== undefined) return refused(request, response, refusal);
    const bytes = await buffer(request);
    if (createHash('sha256').update(bytes).digest('hex') !== name) {
      return refused(request, response, { code: 'HW_BAD_CHUNK' });
    }
    store.came.push(name);
    const stored: string[] = [];
    const failed: { id: string; code: string; message: string }[] = [];
    const next = (url.searchParams.get('next') ?? '').split(',').filter((each) => each !== '');
    for (const id of [store.id, ...next]) {
      const holder = this.stores.find((each) => each.id === id);
      const why = holder === store ? undefined : holder?.refuse(token);
      if (holder === undefined || why !== undefined) {
        failed.push({ id, code: typeof why === 'object' ? why.code : 'HW_CONNECT', message: 'told so' });
        continue;
      }
      holder.chunks.add(name);
      stored.push(id);
    }
    return send(response, { stored, failed });
  }
}

function send(response: ServerResponse, value: object): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

function refused(request: IncomingMessage, response: ServerResponse, refusal: Refusal | 'reset'): void {
  if (refusal === 'reset') {
    request.socket.resetAndDestroy();
    return;
  }
  const { code, details = {} } = refusal;
  const answer = (): void => {
    response.writeHead(ERRORS[code].http, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ code, message: 'told so', details }));
  };
  if (request.readableEnded) answer();
  else request.resume().once('end', answer);
}
