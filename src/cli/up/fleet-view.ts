import type { ServerEntry } from '../../core/api/servers.ts';
import { HeadwaterError } from '../../core/errors.ts';
import { FleetClient } from '../../client/fleet/fleet-client.ts';
import { pagesOf } from '../../client/fleet/pages.ts';

/** Seconds that a look at the fleet, or a word to it, may take: the table shows what was seen last. */
const LOOK_TIME = 3;

/** What `readyz` answers. */
interface Readiness {
  readonly ready: boolean;
  readonly leader: boolean;
}

/** Sees and commands the fleet, as an admin. */
export class FleetView {
  readonly #client: FleetClient;
  readonly #each: ReadonlyMap<string, FleetClient>;
  readonly #token: () => Promise<string | undefined>;

  /** @param token gives a new one when there is none, or the last one is over */
  constructor(urls: readonly string[], token: () => Promise<string | undefined>) {
    this.#client = new FleetClient({ addresses: urls, proxy: false, patience: 0 });
    this.#each = new Map(
      urls.map((url) => [url, new FleetClient({ addresses: [url], proxy: false, patience: 0 })]),
    );
    this.#token = token;
  }

  /** Whether this information server can do its work, and leads; undefined: it does not answer. */
  async readiness(url: string): Promise<Readiness | undefined> {
    try {
      return await this.#each
        .get(url)
        ?.ask<Readiness>('GET', 'readyz', { signal: AbortSignal.timeout(LOOK_TIME * 1000) });
    } catch {
      return undefined;
    }
  }

  /** By name. @throws HeadwaterError */
  async servers(): Promise<ReadonlyMap<string, ServerEntry>> {
    return this.#asAdmin(async () => {
      const servers = new Map<string, ServerEntry>();
      const signal = AbortSignal.timeout(LOOK_TIME * 1000);
      for await (const each of pagesOf<ServerEntry>(this.#client, 'v1/servers', {}, { signal })) {
        servers.set(each.name, each);
      }
      return servers;
    });
  }

  /** @throws HeadwaterError */
  command(name: string, command: 'pause' | 'resume' | 'stop'): Promise<ServerEntry> {
    const path = `v1/servers/${encodeURIComponent(name)}/${command}`;
    return this.#asAdmin(() =>
      this.#client.ask<ServerEntry>('POST', path, {
        repeatable: true,
        signal: AbortSignal.timeout(LOOK_TIME * 1000),
      }),
    );
  }

  /** Ends its session. */
  async close(): Promise<void> {
    if (this.#client.token !== undefined) {
      const signal = AbortSignal.timeout(LOOK_TIME * 1000);
      await this.#client.ask('POST', 'v1/auth/logout', { signal }).catch(() => undefined);
    }
    for (const client of [this.#client, ...this.#each.values()]) await client.close();
  }

  async #asAdmin<T>(work: () => Promise<T>): Promise<T> {
    const client = this.#client;
    client.token ??= await this.#token();
    try {
      return await work();
    } catch (error) {
      const over =
        error instanceof HeadwaterError &&
        (error.code === 'HW_TOKEN_EXPIRED' || error.code === 'HW_TOKEN_INVALID');
      if (!over) throw error;
      client.token = await this.#token();
      return work();
    }
  }
}
