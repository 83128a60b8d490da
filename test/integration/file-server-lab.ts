import { generateKeyPairSync, randomUUID, sign, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

import {
  Announcement,
  Heartbeat,
  Registration,
  type AnnouncedFile,
  type HeartbeatAnswer,
} from '../../src/core/api/servers.ts';
import type { FleetEventKind } from '../../src/core/api/events.ts';
import { ask, Program, until, type Answer } from './serve-lab.ts';

export const JOIN_TOKEN = 'join-token-of-the-stand-in-for-tests-0123';

/** A key that grants are signed with. */
export class SigningKey {
  readonly kid: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;

  constructor(kid: string = randomUUID()) {
    this.kid = kid;
    ({ privateKey: this.privateKey, publicKey: this.publicKey } = generateKeyPairSync('ed25519'));
  }

  get jwk(): Record<string, unknown> {
    return { ...this.publicKey.export({ format: 'jwk' }), kid: this.kid, alg: 'EdDSA', use: 'sig' };
  }

  /** A signed token of whatever is said. */
  token(claims: object, header: object = {}): string {
    const signed = `${part({ alg: 'EdDSA', typ: 'JWT', kid: this.kid, ...header })}.${part(claims)}`;
    return `${signed}.${sign(null, Buffer.from(signed), this.privateKey).toString('base64url')}`;
  }
}

export function part(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

interface Told {
  readonly method: string;
  readonly path: string;
  readonly token: string | undefined;
}

/**
 * The information servers' side of a fleet as src/core/api/servers.ts has it, for one file server: a real HTTP server that
 * remembers what it was told, and can be away.
 */
export class StandInFleet implements AsyncDisposable {
  readonly id = randomUUID();
  readonly key = new SigningKey();
  keys: SigningKey[] = [this.key];
  readonly told: Told[] = [];
  readonly beats: Heartbeat[] = [];
  readonly announcements: Announcement[] = [];
  readonly registrations: Registration[] = [];
  readonly manifests = new Map<string, string>();
  /** What the server holds, by manifest. */
  holdings = new Map<string, AnnouncedFile>();
  version = 0;
  wanted: HeartbeatAnswer['wanted'] = 'running';
  /** Milliseconds that this fleet's clock is ahead of the machine's. */
  ahead = 0;
  /** Answers instead of its own; undefined: its own; lost: its own, which does not arrive. */
  override: ((told: Told) => { status: number; body: object } | 'cut' | 'lost' | undefined) | undefined;
  #serverId: string | undefined;
  #instance = 0;
  #token = '';
  #complete = true;
  #listing = new Map<string, AnnouncedFile>();
  #position = 0;
  readonly #events: { position: number; line: string }[] = [];
  readonly #streams = new Set<ServerResponse>();
  #server: Server | undefined;
  #port = 0;

  static async start(): Promise<StandInFleet> {
    const made = new StandInFleet();
    await made.open();
    return made;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get serverId(): string {
    return this.#serverId ?? '';
  }

  /** Names that are held. */
  get names(): string[] {
    return [...this.holdings.values()].map(({ name }) => name).sort();
  }

  holding(name: string): AnnouncedFile {
    const found = [...this.holdings.values()].find((each) => each.name === name);
    if (found === undefined) throw new Error(`nobody holds ${name}`);
    return found;
  }

  /** Is there (again), under the same address. */
  async open(): Promise<void> {
    this.#server = createServer((request, response) => void this.#take(request, response));
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** Is away: connections are cut, new ones refused. */
  async away(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  }

  /** Tells file servers of something. */
  event(kind: FleetEventKind, data: object, id: string = randomUUID()): void {
    this.#position++;
    const event = { id, position: this.#position, kind, at: new Date().toISOString(), data };
    const line = `${JSON.stringify(event)}\n`;
    this.#events.push({ position: this.#position, line });
    for (const stream of this.#streams) stream.write(line);
  }

  /** A grant for what is held under that name. */
  grant(name: string, claims: object = {}, file: string = randomUUID(), key: SigningKey = this.key) {
    const now = Math.floor((Date.now() + this.ahead) / 1000);
    const { manifestSha256 } = this.holding(name);
    const id = randomUUID();
    const token = key.token({
      iss: this.id,
      aud: 'headwater:file',
      sub: 'user',
      jti: id,
      iat: now,
      exp: now + 300,
      file,
      manifest: manifestSha256,
      ...claims,
    });
    return { id, file, token, path: `/v1/files/${file}` };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.away();
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = request;
    const told: Told = {
      method,
      path: url.split('?')[0] ?? '',
      token: headers.authorization?.replace('Bearer ', ''),
    };
    const body = await text(request).catch(() => '');
    this.told.push(told);
    const instead = this.override?.(told);
    if (instead === 'cut') return void request.socket.destroy();
    if (instead === 'lost') {
      response.writeHead = () => response.destroy();
      response.end = () => response;
    } else if (instead !== undefined) return reply(response, instead.status, instead.body);
    try {
      this.#answer(told, url, body, response);
    } catch (error) {
      // The contract was broken: the test has to see it.
      reply(response, 400, { code: 'HW_USAGE', message: String(error), details: {} });
    }
  }

  #answer({ method, path, token }: Told, url: string, body: string, response: ServerResponse): void {
    if (path === '/.well-known/jwks.json') return reply(response, 200, this.#jwks());
    if (method === 'POST' && path === '/v1/servers') {
      return this.#register(token, Registration.parse(JSON.parse(body)), response);
    }
    if (token !== this.#token) return refuse(response, 401, 'HW_TOKEN_INVALID');
    if (path.endsWith('/heartbeat')) {
      const beat = Heartbeat.parse(JSON.parse(body));
      if (beat.instance !== this.#instance) return refuse(response, 409, 'HW_SUPERSEDED');
      this.beats.push(beat);
      return reply(response, 200, {
        wanted: this.wanted,
        holdingsVersion: this.version,
        informationServers: [],
        time: new Date(Date.now() + this.ahead).toISOString(),
      } satisfies HeartbeatAnswer);
    }
    if (path.endsWith('/holdings')) return this.#announced(Announcement.parse(JSON.parse(body)), response);
    if (path.endsWith('/events')) return this.#follow(url, response);
    const digest = /\/manifests\/([0-9a-f]{64})$/.exec(path)?.[1];
    if (digest === undefined || method !== 'PUT') return refuse(response, 404, 'HW_NOT_FOUND');
    this.manifests.set(digest, body);
    response.writeHead(204).end();
  }

  #jwks(): { keys: Record<string, unknown>[] } {
    return { keys: this.keys.map(({ jwk }) => jwk) };
  }

  #register(token: string | undefined, told: Registration, response: ServerResponse): void {
    if (token !== JOIN_TOKEN && token !== this.#token) return refuse(response, 401, 'HW_TOKEN_INVALID');
    if (told.instance < this.#instance) return refuse(response, 409, 'HW_SUPERSEDED');
    this.registrations.push(told);
    this.#serverId = told.id ?? randomUUID();
    this.#instance = told.instance;
    if (token === JOIN_TOKEN) this.#token = `own-${randomUUID()}`;
    reply(response, 200, {
      id: this.#serverId,
      token: this.#token,
      fleet: this.id,
      heartbeat: 0.2,
      informationServers: [],
      keys: this.#jwks(),
      holdingsVersion: this.#complete ? this.version : 0,
      wanted: this.wanted,
      events: 'embedded',
      position: this.#position,
    });
  }

  #announced(told: Announcement, response: ServerResponse): void {
    const { from, to, last = true, added, removed } = told;
    if (from !== 0 && from !== this.version) {
      const details = { holdingsVersion: this.version };
      return reply(response, 409, { code: 'HW_CONFLICT', message: 'another version', details });
    }
    this.announcements.push(told);
    if (from === 0) {
      this.#listing = new Map();
      this.#complete = false;
    }
    const into = this.#complete ? this.holdings : this.#listing;
    for (const each of removed) into.delete(each);
    for (const each of added) into.set(each.manifestSha256, each);
    this.version = to;
    if (last && !this.#complete) {
      this.holdings = this.#listing;
      this.#complete = true;
    }
    const wanted = added.map((each) => each.manifestSha256).filter((each) => !this.manifests.has(each));
    reply(response, 200, { holdingsVersion: to, wanted, refused: [] });
  }

  #follow(url: string, response: ServerResponse): void {
    const after = Number(new URL(url, this.url).searchParams.get('after'));
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    response.write(`${JSON.stringify({ position: after })}\n`);
    for (const { position, line } of this.#events) if (position > after) response.write(line);
    this.#streams.add(response);
    response.on('close', () => this.#streams.delete(response));
  }
}

function reply(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function refuse(response: ServerResponse, status: number, code: string): void {
  reply(response, status, { code, message: `refused: ${code}`, details: {} });
}

/** `headwater file-server` as a process, with a folder and a data folder of its own. */
export class FileServerProgram implements AsyncDisposable {
  readonly program: Program;
  readonly data: string;
  readonly #owned: boolean;
  #url: string | undefined;

  private constructor(program: Program, data: string, owned: boolean) {
    this.program = program;
    this.data = data;
    this.#owned = owned;
  }

  /** Resolves when it listens. */
  static async start(
    join: readonly string[],
    folder: string,
    {
      data,
      args = [],
      env = {},
    }: { data?: string; args?: readonly string[]; env?: Record<string, string> } = {},
  ): Promise<FileServerProgram> {
    const own = data ?? (await mkdtemp(joinPath('headwater-data-')));
    const program = new Program(
      ['file-server', '--folder', folder, '--join', join.join(','), '--data', own].concat(
        ['--address', '127.0.0.1', '--port', '0', '--name', 'one', '--json', '--interval', '0.1'],
        args,
      ),
      { HEADWATER_JOIN_TOKEN: JOIN_TOKEN, XDG_CACHE_HOME: `${own}/cache`, ...env },
    );
    const made = new FileServerProgram(program, own, data === undefined);
    made.#url = (await made.event('listening'))['url'] as string;
    return made;
  }

  get url(): string {
    return this.#url ?? '';
  }

  get pid(): number {
    return this.program.process.pid ?? 0;
  }

  /** The first event of that kind from line `from` on; of several that for which `fits` says so. */
  async event(
    kind: string,
    fits: (event: Record<string, unknown>) => boolean = () => true,
  ): Promise<Record<string, unknown>> {
    let found: Record<string, unknown> | undefined;
    await until(() => {
      found = this.events(kind).find(fits);
      return found !== undefined || this.program.process.exitCode !== null;
    });
    if (found !== undefined) return found;
    throw new Error(`no ${kind}; ${this.program.lines.join('\n')} ${this.program.complaints.join('\n')}`);
  }

  events(kind: string): Record<string, unknown>[] {
    return this.program.lines
      .filter((line) => line.startsWith(`{"event":"${kind}"`))
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  /** What the last `status` said. */
  get status(): Record<string, unknown> {
    return (this.events('status').at(-1)?.['server'] ?? {}) as Record<string, unknown>;
  }

  ask(path: string, token?: string, headers: Record<string, string> = {}): Promise<Answer> {
    return ask(this.url, path, {
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...headers,
    });
  }

  async report(path: string, token: string, body: unknown): Promise<Answer> {
    const response = await fetch(`${this.url}${path}/reports`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    return { status: response.status, headers: {}, body: Buffer.from(await response.arrayBuffer()) };
  }

  signal(signal: NodeJS.Signals): void {
    process.kill(this.pid, signal);
  }

  /** Ends it at once, and leaves its data. */
  async kill(): Promise<void> {
    this.program.process.kill('SIGKILL');
    await this.program.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    if (this.#owned) await rm(this.data, { recursive: true, force: true });
  }
}

export function codeOf({ body }: Answer): string {
  return (JSON.parse(body.toString()) as { code: string }).code;
}

function joinPath(prefix: string): string {
  return join(tmpdir(), prefix);
}
