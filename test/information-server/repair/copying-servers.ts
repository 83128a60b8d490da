import { setTimeout as sleep } from 'node:timers/promises';

import type { CommitAnswer } from '../../../src/core/api/uploads.ts';
import { announced, type MadeUp } from '../servers/file-server.ts';
import type { TestServer } from '../start.ts';
import { begin, commit, storeStandIn, type StoreStandIn } from '../uploads/store-stand-in.ts';

/** A file server that does what it is told about chunks, though it has none: it says that it has them. */
export interface CopyingServer extends StoreStandIn {
  /** Chunk numbers that it holds, by manifest. */
  readonly holds: Map<string, Set<number>>;
  /** Does not do what it is told. */
  isIdle: boolean;
}

/** Some of them, and contents published on them. */
export class CopyingFleet implements AsyncDisposable {
  readonly fleet: TestServer;
  readonly servers: CopyingServer[] = [];
  readonly #contents = new Map<string, MadeUp>();
  readonly #silent = new Set<CopyingServer>();
  #version = 1;
  #position = 0;

  constructor(fleet: TestServer) {
    this.fleet = fleet;
  }

  async add(name: string, zone = 'east'): Promise<CopyingServer> {
    const server: CopyingServer = Object.assign(await storeStandIn(this.fleet, name, zone), {
      holds: new Map<string, Set<number>>(),
      isIdle: false,
    });
    this.servers.push(server);
    return server;
  }

  /** Publishes a content with each chunk on the servers that `places` says. */
  async publish(
    content: MadeUp,
    places: (chunk: number) => readonly CopyingServer[],
    replicas: number,
  ): Promise<string> {
    for (const [chunk, digest] of content.manifest.chunks.entries()) {
      for (const server of places(chunk)) {
        server.has.add(digest);
        this.#held(server, content.manifestSha256).add(chunk);
      }
    }
    this.#contents.set(content.manifestSha256, content);
    const upload = await begin(this.fleet, { name: content.name, replicas, zones: 1 });
    const done = await commit(this.fleet, upload.id, content);
    if (done.status !== 200) throw new Error(JSON.stringify(done.body));
    for (const server of this.servers) {
      if (server.holds.has(content.manifestSha256)) await this.tell(server, content.manifestSha256);
    }
    return (done.body as CommitAnswer).id;
  }

  /** It says nothing more. */
  silence(server: CopyingServer): void {
    this.#silent.add(server);
  }

  wake(server: CopyingServer): void {
    this.#silent.delete(server);
  }

  /** Lets everyone do what they are told until it is so; heartbeats go on meanwhile. */
  async until(isSo: () => boolean | Promise<boolean>, state: Record<string, string> = {}): Promise<void> {
    for (;;) {
      const heard = this.servers.filter((server) => !this.#silent.has(server));
      await Promise.all(heard.map((server) => server.beat({ state: state[server.name] ?? 'running' })));
      await this.#work();
      if (await isSo()) return;
      await sleep(20);
    }
  }

  /** Copies of each chunk on servers that are not silent. */
  copies(content: MadeUp): number[] {
    return content.manifest.chunks.map(
      (_, chunk) =>
        this.servers.filter(
          (server) =>
            !this.#silent.has(server) && server.holds.get(content.manifestSha256)?.has(chunk) === true,
        ).length,
    );
  }

  async tell(server: CopyingServer, manifest: string): Promise<void> {
    const content = this.#contents.get(manifest);
    if (content === undefined) return;
    const chunks = [...this.#held(server, manifest)].toSorted((a, b) => a - b);
    const has = chunks.map((chunk) => [chunk, chunk]);
    const row = await this.fleet.database.queries
      .selectFrom('servers')
      .select('holdings_version')
      .where('id', '=', server.server.id)
      .executeTakeFirstOrThrow();
    const from = row.holdings_version;
    const to = Date.now() * 1_000 + this.#version++;
    const change =
      chunks.length === 0
        ? { removed: [manifest] }
        : { added: [{ ...announced(content), has, stored: true }] };
    const answer = await server.server.announce({ from, to, ...change });
    if (answer.status !== 200) throw new Error(JSON.stringify(answer.body));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.servers) await server[Symbol.asyncDispose]();
  }

  async #work(): Promise<void> {
    const events = await this.fleet.database.queries
      .selectFrom('events')
      .selectAll()
      .where('position', '>', this.#position)
      .where('kind', 'in', ['chunks.copy', 'chunks.drop'])
      .orderBy('position')
      .execute();
    for (const { position, kind, audience, data } of events) {
      this.#position = position;
      const { servers } = JSON.parse(audience) as { servers: string[] };
      const server = this.servers.find(({ server: { id } }) => id === servers[0]);
      if (server === undefined || server.isIdle || this.#silent.has(server)) continue;
      const order = JSON.parse(data) as { manifest: string; chunks: [number, number][] };
      const holds = this.#held(server, order.manifest);
      for (const [first, last] of order.chunks) {
        for (let chunk = first; chunk <= last; chunk++) {
          if (kind === 'chunks.copy') holds.add(chunk);
          else holds.delete(chunk);
        }
      }
      await this.tell(server, order.manifest);
    }
  }

  #held(server: CopyingServer, manifest: string): Set<number> {
    let held = server.holds.get(manifest);
    if (held === undefined) server.holds.set(manifest, (held = new Set()));
    return held;
  }
}
