import { FLEET_EVENTS, type FleetEventKind } from '../../core/api/events.ts';
import type { StreamedEvent } from '../../events/stream-lines.ts';
import type { ServerCommand } from '../../core/api/servers.ts';
import type { ChunkWork } from '../chunks/chunk-work.ts';
import type { DownloadBook } from './download-book.ts';
import type { Inventory } from './inventory.ts';
import type { KeyRing } from './key-ring.ts';
import type { ReadAhead } from './read-ahead.ts';
import type { Revocations } from './revocations.ts';
import type { StateFile } from './state-file.ts';

export interface EventWorkOptions {
  /** This server's id. */
  readonly id: string;
  readonly state: StateFile;
  readonly inventory: Inventory;
  readonly downloads: DownloadBook;
  readonly revocations: Revocations;
  readonly keys: KeyRing;
  readonly readAhead: ReadAhead;
  readonly chunks: ChunkWork;
  readonly onCommand: (command: ServerCommand) => void;
}

type Data<K extends FleetEventKind> = ReturnType<(typeof FLEET_EVENTS)[K]['parse']>;

/**
 * What the fleet's events make this server do. Each can come twice, late or out of order, and ends the same: what is revoked
 * stays so, a file is deleted once, the command with the highest revision counts.
 */
export class EventWork {
  readonly #options: EventWorkOptions;

  constructor(options: EventWorkOptions) {
    this.#options = options;
  }

  /** @throws what hinders the work: it is to be tried again. An event of an unknown kind is none of ours. */
  async handle({ kind, data, at }: StreamedEvent): Promise<void> {
    switch (kind) {
      case 'download.granted':
        return this.#granted(FLEET_EVENTS[kind].parse(data));
      case 'grant.revoked':
        return this.#revoked(FLEET_EVENTS[kind].parse(data));
      case 'file.renamed':
        return this.#renamed(FLEET_EVENTS[kind].parse(data), Date.parse(at));
      case 'file.deleted':
        return this.#deleted(FLEET_EVENTS[kind].parse(data));
      case 'server.command':
        return this.#commanded(FLEET_EVENTS[kind].parse(data));
      case 'keys.rotated':
        return this.#rotated(FLEET_EVENTS[kind].parse(data));
      case 'content.held':
        return this.#options.chunks.held(FLEET_EVENTS[kind].parse(data));
      case 'content.dropped':
        return this.#options.chunks.dropped(FLEET_EVENTS[kind].parse(data));
      case 'chunks.copy':
        return this.#options.chunks.copy(FLEET_EVENTS[kind].parse(data));
      case 'chunks.drop':
        return this.#options.chunks.drop(FLEET_EVENTS[kind].parse(data));
    }
  }

  #granted({ grant, file, manifest, user, expiresAt }: Data<'download.granted'>): void {
    const { downloads, readAhead } = this.#options;
    const isNew = downloads.granted(grant, { file, user, expiresAt: Date.parse(expiresAt) });
    if (isNew) readAhead.want(manifest);
  }

  #revoked({ grant, expiresAt }: Data<'grant.revoked'>): void {
    const { revocations, downloads } = this.#options;
    revocations.revoke(grant, Date.parse(expiresAt));
    downloads.cutGrant(grant);
  }

  #renamed({ file, name }: Data<'file.renamed'>, at: number): void {
    this.#options.inventory.renamed(file, name, at);
  }

  #deleted({ file, manifest, withdraw }: Data<'file.deleted'>): void {
    const { revocations, inventory, downloads } = this.#options;
    // A second time it could be about another file with the same content.
    if (revocations.isDeleted(file)) return;
    if (withdraw) inventory.withdraw(manifest);
    revocations.fileDeleted(file);
    inventory.forgetName(file);
    downloads.cutFile(file);
  }

  #commanded({ server, command, revision }: Data<'server.command'>): void {
    const { id, state, onCommand } = this.#options;
    if (server !== id || revision <= Number(state.fact('revision') ?? 0)) return;
    onCommand(command);
    state.setFact('revision', revision);
  }

  async #rotated({ kid }: Data<'keys.rotated'>): Promise<void> {
    const { keys } = this.#options;
    if (keys.known(kid) === undefined) await keys.refresh();
  }
}
