import { createHash } from 'node:crypto';

import type { AnnouncementAnswer, Registered } from '../../../src/core/api/servers.ts';
import { ChunkLayout } from '../../../src/core/chunks.ts';
import { canonicalManifest, type Manifest } from '../../../src/core/manifest.ts';
import type { Answer, TestServer } from '../start.ts';

/** A content that nobody has the bytes of: its manifest is all that the fleet sees. */
export interface MadeUp {
  readonly name: string;
  readonly size: number;
  readonly sha256: string;
  readonly manifestSha256: string;
  readonly manifest: Manifest;
}

export function madeUp(name: string, seed: string = name, size = 3_000_000): MadeUp {
  const { count, chunkSize } = new ChunkLayout(size);
  const chunks = Array.from({ length: count }, (_, index) => digest(`${seed} chunk ${index}`));
  const manifest: Manifest = { version: 1, size, chunkSize, sha256: digest(seed), chunks };
  return {
    name,
    size,
    sha256: manifest.sha256,
    manifestSha256: digest(canonicalManifest(manifest)),
    manifest,
  };
}

export function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** What a file server's announcement says of one. */
export function announced({ name, size, sha256, manifestSha256 }: MadeUp): Record<string, unknown> {
  return { name, size, sha256, manifestSha256 };
}

/** What a file server says to an information server, a call each. */
export class FileServer {
  readonly #fleet: TestServer;
  readonly name: string;
  instance: number;
  id = '';
  token = '';
  /** Where its events go on from. */
  position = 0;
  zone = 'east';

  constructor(fleet: TestServer, name: string, instance = 1_000) {
    this.#fleet = fleet;
    this.name = name;
    this.instance = instance;
  }

  registration(): Record<string, unknown> {
    const { name, instance, zone } = this;
    return { instance, name, zone, url: `http://${name}.test:1`, version: '0.1.0' };
  }

  /** Registers with the join token, or with what `change` and `token` say. */
  async register(change: Record<string, unknown> = {}, token = this.#fleet.joinToken): Promise<Answer> {
    const answer = await this.#fleet.ask('POST', '/v1/servers', { ...this.registration(), ...change }, token);
    if (answer.status === 200)
      ({ id: this.id, token: this.token, position: this.position } = answer.body as Registered);
    return answer;
  }

  beat(change: Record<string, unknown> = {}): Promise<Answer> {
    const body = {
      instance: this.instance,
      state: 'running',
      answers: 1,
      clients: 2,
      rate: 3.5,
      bytesSent: 4,
      holdingsVersion: 0,
      time: new Date().toISOString(),
      ...change,
    };
    return this.#fleet.ask('POST', `/v1/servers/${this.id}/heartbeat`, body, this.token);
  }

  announce(change: Record<string, unknown>): Promise<Answer> {
    const body = { instance: this.instance, added: [], removed: [], ...change };
    return this.#fleet.ask('POST', `/v1/servers/${this.id}/holdings`, body, this.token);
  }

  put({ manifest, manifestSha256 }: MadeUp): Promise<Answer> {
    return this.putText(manifestSha256, JSON.stringify(manifest));
  }

  putText(manifestSha256: string, text: string): Promise<Answer> {
    return this.#fleet.ask('PUT', `/v1/servers/${this.id}/manifests/${manifestSha256}`, text, this.token);
  }

  /** Says that it holds these and no others, and sends the manifests asked for. */
  async hold(version: number, contents: readonly MadeUp[]): Promise<AnnouncementAnswer> {
    const answer = await this.announce({ from: 0, to: version, added: contents.map(announced) });
    if (answer.status !== 200) throw new Error(JSON.stringify(answer.body));
    const body = answer.body as AnnouncementAnswer;
    for (const content of contents) {
      if (!body.wanted.includes(content.manifestSha256)) continue;
      const sent = await this.put(content);
      if (sent.status !== 204) throw new Error(JSON.stringify(sent.body));
    }
    return body;
  }
}

/** The files that are there, by name. */
export async function filesOf(fleet: TestServer): Promise<Map<string, { id: string; sha256: string }>> {
  const rows = await fleet.database.queries
    .selectFrom('files')
    .innerJoin('contents', 'contents.id', 'files.content_id')
    .select(['files.name', 'files.id', 'contents.sha256'])
    .where('files.deleted_at', 'is', null)
    .orderBy('files.name')
    .execute();
  return new Map(rows.map(({ name, id, sha256 }) => [name, { id, sha256 }]));
}

/** Data of the events of one kind, in order. */
export async function eventsOf(fleet: TestServer, kind: string): Promise<Record<string, unknown>[]> {
  const rows = await fleet.database.queries
    .selectFrom('events')
    .select('data')
    .where('kind', '=', kind)
    .orderBy('position')
    .execute();
  return rows.map(({ data }) => JSON.parse(data) as Record<string, unknown>);
}
