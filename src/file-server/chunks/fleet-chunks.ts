import type { Heartbeat } from '../../core/api/servers.ts';
import { HeadwaterError } from '../../core/errors.ts';
import type { AnsweringServer } from '../answer.ts';
import type { Verdict } from '../fleet/chunk-reports.ts';
import type { Identity } from '../fleet/data-folder.ts';
import type { ChunkSettings, RunState } from '../fleet/fleet-types.ts';
import type { GrantDesk } from '../fleet/grant-desk.ts';
import type { InformationServers } from '../fleet/information-servers.ts';
import type { Inventory } from '../fleet/inventory.ts';
import type { ContentStore } from '../store.ts';
import { answerChunk, type ChunkRequest } from './chunk-answers.ts';
import { ChunkStock } from './chunk-stock.ts';
import { ChunkTokens } from './chunk-tokens.ts';
import { ChunkWork } from './chunk-work.ts';
import { EitherContents } from './either-contents.ts';
import { digestsOf, headOf } from './held-contents.ts';
import { LateContents } from './late-contents.ts';

export interface FleetChunksOptions {
  /** The server's data folder. */
  readonly data: string;
  readonly settings: ChunkSettings;
  readonly inventory: Inventory;
  readonly desk: GrantDesk;
  readonly servers: InformationServers;
  readonly identity: () => Identity | undefined;
  readonly state: () => RunState;
  /** A chunk is bad on the disk, or gone from it. */
  readonly onBadChunk: (bad: { digest: string; path: string }) => void;
  readonly onFault: (error: HeadwaterError) => void;
}

/** The chunk store of a file server in its fleet: what it holds, answers and is made to do. */
export class FleetChunks {
  readonly stock: ChunkStock;
  readonly work: ChunkWork;
  readonly #options: FleetChunksOptions;
  readonly #tokens: ChunkTokens;

  private constructor(options: FleetChunksOptions, stock: ChunkStock) {
    this.#options = options;
    this.stock = stock;
    const { desk, servers, identity, settings, onFault } = options;
    const { clock, keys } = desk;
    this.#tokens = new ChunkTokens({ fleet: () => identity()?.fleet, keys, clock });
    this.work = new ChunkWork({
      stock,
      now: () => clock.now(),
      copyRate: settings.copyRate,
      onFault,
      ask: async ({ method, path, body, most }) => {
        const known = identity();
        if (known === undefined) throw new HeadwaterError('HW_CONNECT', 'this server has not joined yet');
        const { id, token } = known;
        return servers.call({ method, path: path(id), token, body, ...(most !== undefined && { most }) });
      },
    });
  }

  /** @throws HeadwaterError `HW_DISK` */
  static async open(options: FleetChunksOptions): Promise<FleetChunks> {
    const { data, settings, inventory, onBadChunk, onFault } = options;
    const { capacity, reserve, scrubInterval } = settings;
    const stock = await ChunkStock.open({
      data,
      capacity,
      reserve,
      scrubInterval: scrubInterval * 1000,
      heldBefore: (after, most) => inventory.storedAfter(after, most),
      manifestOf: (digest) => inventory.manifest(digest),
      onHeld: (manifest, packed, has) => {
        const isNothing = has === undefined || (has.count === 0 && has.length > 0);
        inventory.stores(manifest, headOf(packed), digestsOf(packed), isNothing ? undefined : has);
      },
      onBadChunk: (digest) => onBadChunk({ digest, path: stock.store.folder.path(digest) }),
      onFault,
    });
    return new FleetChunks(options, stock);
  }

  /** What a heartbeat tells of it. */
  get pulse(): NonNullable<Heartbeat['store']> {
    // For the next one.
    void this.stock.store.refresh();
    return this.stock.state;
  }

  /** Contents of folders, and those of the chunk store, also before the fleet has told of them. */
  contentsWith(folders: ContentStore): ContentStore {
    const both = new EitherContents(folders, this.stock.contents);
    return new LateContents(both, (manifest) => this.work.find(manifest));
  }

  answer(server: AnsweringServer, asked: ChunkRequest): Promise<void> {
    const { stock, work } = this;
    const { identity, state } = this.#options;
    const { store, contents, agents } = stock;
    const id = (): string => identity()?.id ?? '';
    return answerChunk(
      { store, contents, agents, peers: work.peers, tokens: this.#tokens, id, state },
      server,
      asked,
    );
  }

  /** Reads a chunk again that somebody says came wrong. */
  async verify(digest: string): Promise<Verdict> {
    const verdict = await this.stock.store.verify(digest, async () => undefined);
    return verdict === 'gone' ? 'bad' : verdict;
  }

  start(): void {
    this.stock.start();
  }

  /** The fleet can be asked now. */
  joined(): void {
    this.work.copier.start();
  }

  async close(): Promise<void> {
    await this.work.close();
    await this.stock.close();
  }
}
