import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import {
  Agent,
  createServer,
  request,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

import type { FleetEventKind } from '../../../src/core/api/events.ts';
import { Announcement, Heartbeat, Registration, type AnnouncedFile } from '../../../src/core/api/servers.ts';
import { ChunkStored } from '../../../src/core/api/uploads.ts';
import { Bitmap } from '../../../src/core/bitmap.ts';
import { canonicalManifest, MANIFEST_VERSION, type Manifest } from '../../../src/core/manifest.ts';
import { JOIN_TOKEN, SigningKey } from '../file-server-lab.ts';
import { ask, Program, until, type Answer } from '../serve-lab.ts';

interface Member {
  readonly id: string;
  readonly token: string;
  url: string;
  version: number;
  beat: Heartbeat | undefined;
  holdings: Map<string, AnnouncedFile>;
  readonly events: string[];
  readonly streams: Set<ServerResponse>;
  position: number;
}

/** The information servers' side of a fleet of several chunk servers, as src/core/api has it. */
export class ChunkFleet implements AsyncDisposable {
  readonly id = randomUUID();
  readonly key = new SigningKey();
  readonly members = new Map<string, Member>();
  readonly manifests = new Map<string, Manifest>();
  /** Manifests that no file refers to. */
  readonly unwanted = new Set<string>();
  readonly #server: Server = createServer((incoming, response) => void this.#take(incoming, response));

  static async start(): Promise<ChunkFleet> {
    const made = new ChunkFleet();
    made.#server.listen(0, '127.0.0.1');
    await once(made.#server, 'listening');
    return made;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  member(id: string): Member {
    const found = this.members.get(id);
    if (found === undefined) throw new Error(`no member ${id}`);
    return found;
  }

  uploadToken(claims: object = {}, key: SigningKey = this.key): string {
    const now = Math.floor(Date.now() / 1000);
    return key.token({
      iss: this.id,
      aud: 'headwater:upload',
      sub: 'user',
      jti: randomUUID(),
      iat: now,
      exp: now + 300,
      keep: now + 3600,
      ...claims,
    });
  }

  internalToken(claims: object = {}): string {
    const now = Math.floor(Date.now() / 1000);
    return this.key.token({
      iss: this.id,
      aud: 'headwater:chunk',
      sub: 'information-server',
      iat: now,
      exp: now + 300,
      ...claims,
    });
  }

  grant(manifest: string): { readonly path: string; readonly token: string } {
    const now = Math.floor(Date.now() / 1000);
    const file = randomUUID();
    const claims = { iss: this.id, aud: 'headwater:file', sub: 'user', jti: randomUUID(), iat: now };
    return {
      path: `/v1/files/${file}`,
      token: this.key.token({ ...claims, exp: now + 300, file, manifest }),
    };
  }

  /** Tells one server of something. */
  event(id: string, kind: FleetEventKind, data: object): void {
    const member = this.member(id);
    member.position++;
    const { position } = member;
    const event = { id: randomUUID(), position, kind, at: new Date().toISOString(), data };
    const line = `${JSON.stringify(event)}\n`;
    member.events.push(line);
    for (const stream of member.streams) stream.write(line);
  }

  /** A content that the fleet knows. */
  publish(bytes: Buffer, chunkSize = 1024 * 1024): Content {
    const content = contentOf(bytes, chunkSize);
    this.manifests.set(content.digest, content.manifest);
    return content;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #take(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = incoming;
    const path = url.split('?')[0] ?? '';
    const body = await text(incoming).catch(() => '');
    try {
      const token = headers.authorization?.replace('Bearer ', '') ?? '';
      this.#answer({ method, path, url, token, body }, response);
    } catch (error) {
      // The contract was broken: the test has to see it.
      reply(response, 400, { code: 'HW_USAGE', message: String(error), details: {} });
    }
  }

  #answer(
    { method, path, url, token, body }: Record<'method' | 'path' | 'url' | 'token' | 'body', string>,
    response: ServerResponse,
  ): void {
    if (path === '/.well-known/jwks.json') return reply(response, 200, { keys: [this.key.jwk] });
    if (method === 'POST' && path === '/v1/servers') return this.#register(token, body, response);
    const member = [...this.members.values()].find((each) => each.token === token);
    if (member === undefined)
      return reply(response, 401, { code: 'HW_TOKEN_INVALID', message: 'no', details: {} });
    if (path === '/v1/servers/peers') {
      const servers = [...this.members.values()].map((each) => ({ id: each.id, url: each.url, zone: 'a' }));
      return reply(response, 200, { servers });
    }
    if (path.endsWith('/internal-token')) {
      const expiresAt = new Date(Date.now() + 300_000).toISOString();
      return reply(response, 200, { token: this.internalToken({ sub: member.id }), expiresAt });
    }
    if (path.startsWith('/v1/manifests/')) {
      const manifest = this.manifests.get(path.slice(14));
      if (manifest !== undefined) return reply(response, 200, manifest);
      return reply(response, 404, { code: 'HW_NOT_FOUND', message: 'no such manifest', details: {} });
    }
    if (path.endsWith('/heartbeat')) {
      member.beat = Heartbeat.parse(JSON.parse(body));
      return reply(response, 200, {
        wanted: 'running',
        holdingsVersion: member.version,
        informationServers: [],
        time: new Date().toISOString(),
      });
    }
    if (path.endsWith('/holdings')) return this.#announced(member, body, response);
    if (path.endsWith('/events')) {
      const after = Number(new URL(url, this.url).searchParams.get('after'));
      response.writeHead(200, { 'content-type': 'application/x-ndjson' });
      response.write(`${JSON.stringify({ position: after })}\n`);
      for (const line of member.events.slice(after)) response.write(line);
      member.streams.add(response);
      response.on('close', () => member.streams.delete(response));
      return undefined;
    }
    response.writeHead(204).end();
  }

  #register(token: string, body: string, response: ServerResponse): void {
    const told = Registration.parse(JSON.parse(body));
    const before = told.id === undefined ? undefined : this.members.get(told.id);
    if (token !== JOIN_TOKEN && token !== before?.token) {
      return reply(response, 401, { code: 'HW_TOKEN_INVALID', message: 'no', details: {} });
    }
    const member: Member = before ?? {
      id: randomUUID(),
      token: `own-${randomUUID()}`,
      url: told.url,
      version: 0,
      beat: undefined,
      holdings: new Map(),
      events: [],
      streams: new Set(),
      position: 0,
    };
    member.url = told.url;
    this.members.set(member.id, member);
    reply(response, 200, {
      id: member.id,
      token: member.token,
      fleet: this.id,
      heartbeat: 0.2,
      informationServers: [],
      keys: { keys: [this.key.jwk] },
      holdingsVersion: member.version,
      wanted: 'running',
      events: 'embedded',
      position: 0,
    });
  }

  #announced(member: Member, body: string, response: ServerResponse): void {
    const { from, to, added, removed } = Announcement.parse(JSON.parse(body));
    if (from !== 0 && from !== member.version) {
      const details = { holdingsVersion: member.version };
      return reply(response, 409, { code: 'HW_CONFLICT', message: 'another version', details });
    }
    if (from === 0) member.holdings = new Map();
    for (const each of removed) member.holdings.delete(each);
    for (const each of added) member.holdings.set(each.manifestSha256, each);
    member.version = to;
    const unwanted = added.map((each) => each.manifestSha256).filter((each) => this.unwanted.has(each));
    reply(response, 200, { holdingsVersion: to, wanted: [], refused: [], unwanted });
  }
}

function reply(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

/** Bytes cut into chunks. */
export interface Content {
  readonly bytes: Buffer;
  readonly manifest: Manifest;
  /** Of the manifest. */
  readonly digest: string;
  readonly chunks: readonly { readonly digest: string; readonly bytes: Buffer }[];
}

function contentOf(bytes: Buffer, chunkSize: number): Content {
  const chunks = Array.from({ length: Math.ceil(bytes.length / chunkSize) }, (_, at) => {
    const part = bytes.subarray(at * chunkSize, (at + 1) * chunkSize);
    return { digest: sha256(part), bytes: part };
  });
  const manifest: Manifest = {
    version: MANIFEST_VERSION,
    size: bytes.length,
    chunkSize,
    sha256: sha256(bytes),
    chunks: chunks.map(({ digest }) => digest),
  };
  return { bytes, manifest, digest: sha256(canonicalManifest(manifest)), chunks };
}

export function sha256(bytes: Buffer | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** A chunk of random bytes. */
export function someChunk(bytes = 1024 * 1024) {
  const made = randomBytes(bytes);
  return { digest: sha256(made), bytes: made };
}

/** `headwater file-server` as a chunk server of that fleet. */
export class ChunkServer implements AsyncDisposable {
  readonly program: Program;
  readonly data: string;
  readonly fleet: ChunkFleet;
  readonly #owned: boolean;
  id = '';
  url = '';

  private constructor(program: Program, data: string, fleet: ChunkFleet, owned: boolean) {
    this.program = program;
    this.data = data;
    this.fleet = fleet;
    this.#owned = owned;
  }

  /** Resolves when it has joined. */
  static async start(
    fleet: ChunkFleet,
    { data, args = [] }: { data?: string; args?: readonly string[] } = {},
  ): Promise<ChunkServer> {
    const own = data ?? (await mkdtemp(join(tmpdir(), 'headwater-chunks-')));
    const program = new Program(
      ['file-server', '--join', fleet.url, '--data', own, '--address', '127.0.0.1'].concat(
        ['--port', '0', '--json', '--interval', '0.1', '--reserve', '0'],
        args,
      ),
      { HEADWATER_JOIN_TOKEN: JOIN_TOKEN, XDG_CACHE_HOME: `${own}/cache` },
    );
    const made = new ChunkServer(program, own, fleet, data === undefined);
    const { id, url } = await made.event('ready');
    made.id = String(id);
    made.url = String(url);
    return made;
  }

  async event(kind: string): Promise<Record<string, unknown>> {
    const line = await this.program.line(`{"event":"${kind}"`);
    return JSON.parse(line) as Record<string, unknown>;
  }

  /** What the fleet was told that it holds of a content. */
  holding({ digest }: Content): AnnouncedFile | undefined {
    return this.fleet.member(this.id).holdings.get(digest);
  }

  get store() {
    return this.fleet.member(this.id).beat?.store;
  }

  async put(
    { digest, bytes }: { digest: string; bytes: Buffer },
    next: readonly ChunkServer[] = [],
    token = this.fleet.uploadToken(),
  ): Promise<Answer> {
    const query = next.length === 0 ? '' : `?next=${next.map(({ id }) => id).join(',')}`;
    return send(`${this.url}/v1/chunks/${digest}${query}`, token, bytes);
  }

  /** Which of the digests it has. */
  async check(digests: readonly string[], token = this.fleet.uploadToken()): Promise<boolean[]> {
    const body = Buffer.from(JSON.stringify({ digests }));
    const answer = await send(`${this.url}/v1/chunks/check`, token, body, 'POST');
    if (answer.status !== 200) throw new Error(`${answer.status}: ${answer.body.toString()}`);
    const { has } = JSON.parse(answer.body.toString()) as { has: string };
    const bitmap = new Bitmap(digests.length, Buffer.from(has, 'base64'));
    return digests.map((_, at) => bitmap.has(at));
  }

  /** A chunk, as another server of the fleet asks for it. */
  chunk(digest: string, token = this.fleet.internalToken()): Promise<Answer> {
    return ask(this.url, `/v1/chunks/${digest}`, { authorization: `Bearer ${token}` });
  }

  /** A file, or a range of it, as a client with a grant asks for it. */
  file({ digest }: Content, range?: string): Promise<Answer> {
    const { path, token } = this.fleet.grant(digest);
    return ask(this.url, path, {
      authorization: `Bearer ${token}`,
      ...(range !== undefined && { range: `bytes=${range}` }),
    });
  }

  /** All chunks of the content are there and held for it. */
  async hold(content: Content): Promise<void> {
    for (const each of content.chunks) await this.put(each);
    this.fleet.event(this.id, 'content.held', { manifest: content.digest });
    await until(() => this.holding(content)?.has === 'all');
  }

  chunkPath(digest: string): string {
    return join(this.data, 'chunks', digest.slice(0, 2), digest.slice(2, 4), digest);
  }

  /** Ends it, whatever it is at, and leaves its data. */
  async kill(): Promise<void> {
    this.program.process.kill('SIGKILL');
    await this.program.exited;
  }

  async stop(): Promise<void> {
    this.program.process.kill('SIGTERM');
    await this.program.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    if (this.#owned) await rm(this.data, { recursive: true, force: true });
  }
}

export async function send(url: string, token: string, body: Buffer, method = 'PUT'): Promise<Answer> {
  // Who closes at once after an answer that came early would cut off who still sends.
  const agent = new Agent({ keepAlive: true });
  const outgoing = request(url, {
    method,
    agent,
    headers: { authorization: `Bearer ${token}`, 'content-length': body.length },
  });
  outgoing.end(body);
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
  const parts: Buffer[] = [];
  for await (const part of response) parts.push(part as Buffer);
  agent.destroy();
  return { status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(parts) };
}

export function storedOf({ body }: Answer): ChunkStored {
  return ChunkStored.parse(JSON.parse(body.toString()));
}

export function codeOf({ body }: Answer): string {
  return (JSON.parse(body.toString()) as { code: string }).code;
}
