import type { HeartbeatAnswer, Registered } from '../../core/api/servers.ts';
import { HeadwaterError } from '../../core/errors.ts';
import type { EventFeed, RunningFeed } from '../../events/event-feed.ts';
import type { StreamedEvent } from '../../events/stream-lines.ts';
import type { InformationServers as EventServers } from '../../events/stream-request.ts';
import type { ChunkWork } from '../chunks/chunk-work.ts';
import { Announcer } from './announcer.ts';
import type { DataFolder, Identity } from './data-folder.ts';
import { EventWork } from './event-work.ts';
import type { FleetServerOptions } from './fleet-types.ts';
import type { FolderStock } from './folder-stock.ts';
import type { GrantDesk } from './grant-desk.ts';
import type { InformationServers } from './information-servers.ts';
import { Membership, type Marks, type MembershipOptions, type Pulse } from './membership.ts';
import type { RunControl } from './run-control.ts';
import type { StateFile } from './state-file.ts';

/** Milliseconds that an information server gets to hear that this server ends. */
const FAREWELL = 1_000;

/** Where a server that has joined has its events from. */
export type FeedOf = (joined: Registered, servers: EventServers) => EventFeed;

export interface FleetLinkOptions {
  readonly fleet: FleetServerOptions;
  readonly feedOf: FeedOf;
  readonly servers: InformationServers;
  readonly data: DataFolder;
  readonly identity: Identity | undefined;
  readonly state: StateFile;
  readonly stock: FolderStock;
  readonly chunks: ChunkWork;
  readonly desk: GrantDesk;
  readonly control: RunControl;
  readonly pulse: () => Omit<Pulse, 'holdingsVersion' | 'downloads'>;
  readonly onJoined: (identity: Identity) => void;
  /** Everything that is held is known to the fleet. */
  readonly onTold: () => void;
  readonly onOver: MembershipOptions['onOver'];
  readonly onFault: (error: HeadwaterError) => void;
}

/** This server's ties to its fleet: who it is there, what it tells, what it is told. */
export class FleetLink {
  readonly #options: FleetLinkOptions;
  readonly #loop = new AbortController();
  readonly #membership: Membership;
  readonly #announcer: Announcer;
  #events: RunningFeed | undefined;
  #position = 0;
  #joinedOnce = false;

  constructor(options: FleetLinkOptions, about: { url: string; port: number }) {
    this.#options = options;
    const { fleet, servers, data, identity, stock, desk, control, onOver, onFault } = options;
    this.#membership = new Membership(
      {
        servers,
        data,
        clock: desk.clock,
        joinToken: fleet.joinToken,
        about: {
          ...about,
          name: fleet.name,
          zone: fleet.zone,
          capacity: fleet.chunks.capacity,
          version: fleet.version,
        },
        signal: this.#loop.signal,
        pulse: () => ({
          ...options.pulse(),
          holdingsVersion: this.#announcer.known,
          downloads: desk.downloads.untold,
        }),
        onDownloadsTold: (count) => desk.downloads.told(count),
        marks: () => ({ announced: this.#announcer.sent, commanded: control.commanded }),
        onJoined: (answer, who, isFirst) => this.#joined(answer, who, isFirst),
        onAnswer: (answer, then) => this.#answered(answer, then),
        onOver,
        onFault,
      },
      identity,
    );
    const who = (): Identity => {
      const { identity: known } = this.#membership;
      if (known === undefined) throw new HeadwaterError('HW_CONNECT', 'it has not joined yet');
      return known;
    };
    this.#announcer = new Announcer({
      inventory: stock.inventory,
      instance: this.#membership.instance,
      send: (body) => {
        const { id, token } = who();
        return servers.call({ method: 'POST', path: `/v1/servers/${id}/holdings`, token, body });
      },
      sendManifest: async (digest, body) => {
        const { id, token } = who();
        await servers.call({ method: 'PUT', path: `/v1/servers/${id}/manifests/${digest}`, token, body });
      },
      backOff: (attempt) => servers.backOff(attempt),
      onUnwanted: (manifests) => options.chunks.unwanted(manifests),
      onTold: options.onTold,
      onFault,
    });
  }

  get identity(): Identity | undefined {
    return this.#membership.identity;
  }

  get connected(): boolean {
    return this.#membership.connected;
  }

  /** Version of what is held that the fleet knows. */
  get known(): number {
    return this.#announcer.known;
  }

  /** Position up to which everything that events asked for was done. */
  get position(): number {
    return this.#position;
  }

  start(): void {
    this.#membership.start();
  }

  /** Says now how the server is. */
  beat(): void {
    this.#membership.beat();
  }

  /** What is held has changed. */
  readonly held = (): void => this.#announcer.changed();

  /** Says a last time how the server is, and nothing more. */
  async close(): Promise<void> {
    this.#loop.abort();
    // Before nobody is asked any more: it would ask again at once, for ever.
    const announced = this.#announcer.close();
    const farewell = this.#membership.close().then(() => this.#membership.farewell());
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, FAREWELL);
    await Promise.race([farewell, late]);
    clearTimeout(timer);
    // Whatever still waits for an answer.
    await this.#options.servers.close();
    await Promise.all([this.#events?.close(), announced, farewell]);
  }

  #joined(answer: Registered, identity: Identity, isFirst: boolean): void {
    const { state, stock, desk, control, onJoined } = this.#options;
    if (isFirst) {
      // Another server, or another fleet: what was told to the one before is nothing to this one.
      state.setFact('position', answer.position);
      state.setFact('revision', 0);
      stock.inventory.restoreWithdrawn();
    }
    const keys = { keys: answer.keys.keys };
    desk.keys.told(keys);
    this.#announcer.joined(answer.holdingsVersion);
    control.wanted(answer.wanted);
    if (isFirst || !this.#joinedOnce) this.#subscribe(answer, identity);
    this.#joinedOnce = true;
    onJoined(identity);
  }

  #answered({ wanted, holdingsVersion }: HeartbeatAnswer, then: Marks): void {
    this.#options.control.wanted(wanted, then.commanded);
    this.#announcer.heard(holdingsVersion, then.announced);
  }

  #subscribe(answer: Registered, { id }: Identity): void {
    const { state, stock, desk, control, fleet, feedOf, servers, chunks, onFault } = this.#options;
    const { inventory, readAhead } = stock;
    const { downloads, revocations, keys } = desk;
    const work = new EventWork({
      id,
      state,
      inventory,
      downloads,
      revocations,
      keys,
      readAhead,
      chunks,
      onCommand: (command) => control.command(command),
    });
    void this.#events?.close();
    this.#position = Number(state.fact('position') ?? answer.position);
    const from: EventServers = {
      id,
      token: () => this.identity?.token ?? '',
      // The one that answered last comes first.
      addresses: () => [servers.url, ...servers.urls.filter((each) => each !== servers.url)],
    };
    this.#events = feedOf(answer, from).subscribe({
      after: this.#position,
      handle: (event) => work.handle(event),
      done: (position) => {
        this.#position = position;
        state.setFact('position', position);
      },
      gaveUp: (event, cause) => onFault(givenUp(event, cause)),
      state: (now, cause) => {
        if (now === 'away') fleet.log.warn({ error: cause }, 'events do not come now');
        else fleet.log.info({}, 'events come');
      },
    });
  }
}

function givenUp({ kind, id }: StreamedEvent, cause: unknown): HeadwaterError {
  const message = `an event of the fleet (${kind}, ${id}) could not be acted on: ${String(cause)}`;
  return new HeadwaterError('HW_INTERNAL', message, { cause });
}
