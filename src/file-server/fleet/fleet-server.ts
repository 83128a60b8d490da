import { HeadwaterError } from '../../core/errors.ts';
import { BlockPool } from '../block-pool.ts';
import { FleetChunks } from '../chunks/fleet-chunks.ts';
import { ARRIVAL_TIMEOUT } from '../chunks/limits.ts';
import { FileServer } from '../file-server.ts';
import { findRoots } from '../find-roots.ts';
import { CONNECTION_TIMES } from '../http-server.ts';
import { FIRST_PORT } from '../limits.ts';
import { DataFolder, type Identity } from './data-folder.ts';
import { fleetAnswers } from './fleet-answer.ts';
import { FleetLink, type FeedOf } from './fleet-link.ts';
import type { ChangedBy, FleetServerOptions, FleetServerStatus, RunState } from './fleet-types.ts';
import { FolderStock } from './folder-stock.ts';
import { GrantDesk } from './grant-desk.ts';
import { InformationServers } from './information-servers.ts';
import { DRAIN_GRACE } from './limits.ts';
import { RunControl } from './run-control.ts';
import { countingRefusals, serverMetrics } from './server-metrics.ts';
import { StateFile } from './state-file.ts';

/** Answers under way above which nothing is read ahead. */
const BUSY_ANSWERS = 8;

/**
 * A file server of a fleet. Resolves when it listens; it joins as soon as an information server answers (`ready`), and serves
 * meanwhile by what it knows from earlier times.
 *
 * @throws HeadwaterError `HW_USAGE`, `HW_LISTEN`, `HW_DISK`, `HW_CONFLICT` (the data folder is in use)
 */
export async function startFleetServer(options: FleetServerOptions, feedOf: FeedOf): Promise<FleetServer> {
  const roots = options.folders.length === 0 ? [] : await findRoots(options.folders);
  const file = roots.findIndex(({ kind }) => kind === 'file');
  if (file >= 0) {
    throw new HeadwaterError('HW_USAGE', `${options.folders[file]} is a file; --folder takes folders`);
  }
  const data = await DataFolder.open(options.data);
  let state: StateFile | undefined;
  try {
    const identity = await data.identity();
    if (identity === undefined && options.joinToken === undefined) {
      const message =
        'joining a fleet takes its join token: --join-token-file FILE, or HEADWATER_JOIN_TOKEN; information servers keep it in their data folder';
      throw new HeadwaterError('HW_USAGE', message);
    }
    state = new StateFile(data.path);
    const folders = [...new Set(roots.map(({ path }) => path))];
    const server = new FleetServer({ ...options, folders }, feedOf, { data, identity, state });
    await server.start();
    return server;
  } catch (error) {
    state?.close();
    data.close();
    throw error;
  }
}

interface Own {
  readonly data: DataFolder;
  readonly identity: Identity | undefined;
  readonly state: StateFile;
}

/** Owns everything that a file server of a fleet is made of, until it has ended. */
export class FleetServer {
  /** Resolves when it has ended; rejects when it had to, with why. */
  readonly closed: Promise<void>;
  readonly control: RunControl;
  readonly #options: FleetServerOptions;
  readonly #feedOf: FeedOf;
  readonly #own: Own;
  readonly #servers: InformationServers;
  readonly #desk: GrantDesk;
  readonly #stock: FolderStock;
  readonly #refusals = new Map<string, number>();
  readonly #closed = Promise.withResolvers<void>();
  #chunks: FleetChunks | undefined;
  #server: FileServer | undefined;
  #link: FleetLink | undefined;
  #badChunks = 0;
  #announced: number | undefined;
  #ready = false;
  #ended = false;
  #timer: NodeJS.Timeout | undefined;
  #over: HeadwaterError | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: FleetServerOptions, feedOf: FeedOf, own: Own) {
    this.#options = options;
    this.#feedOf = feedOf;
    this.#own = own;
    const { state, identity } = own;
    this.closed = this.#closed.promise;
    // Whoever waits for it learns of it; nobody has to.
    this.closed.catch(() => undefined);
    this.control = new RunControl({
      onChange: (now, by) => this.#stateChanged(now, by),
      onStop: (by) => {
        this.#closing = this.#close(by);
      },
    });
    this.#servers = new InformationServers({
      joined: options.join,
      kept: identity?.informationServers ?? [],
      onReach: ({ how, url, why }) => {
        const connected = how === 'found';
        options.onEvent({ event: 'connection', connected, url, ...(why !== undefined && { message: why }) });
      },
    });
    this.#desk = new GrantDesk({
      state,
      fleet: () => (this.#link?.identity ?? identity)?.fleet,
      askKeys: () => this.#servers.call({ method: 'GET', path: '/.well-known/jwks.json' }),
    });
    this.#stock = new FolderStock({
      folders: options.folders,
      state,
      cache: options.cache,
      rescanEvery: options.rescanEvery,
      isBusy: () => (this.#server?.status().answers ?? 0) > BUSY_ANSWERS,
      onHeld: () => this.#link?.held(),
      onHashed: () => this.#tellWhenDone(),
      onBadChunk: (bad) => {
        this.#badChunks++;
        options.log.error(bad, 'a chunk is bad on the disk');
        options.onEvent({ event: 'bad-chunk', ...bad });
      },
      verifyStored: async (digest) => (await this.#chunks?.verify(digest)) ?? 'unknown',
      onFault: this.#fault,
    });
  }

  get url(): string {
    return (this.#options.publicUrl ?? this.#server?.url ?? '').replace(/\/+$/, '');
  }

  status(): FleetServerStatus {
    const server = this.#server?.status();
    const { held, pending, pendingBytes } = this.#stock.inventory.counts();
    const store = this.#chunks?.stock.state;
    return {
      name: this.#options.name,
      url: this.url,
      state: this.control.state,
      connected: this.#link?.connected ?? false,
      clients: server?.clients ?? 0,
      answers: server?.answers ?? 0,
      bytesSent: server?.bytesSent ?? 0,
      rate: server?.rate ?? 0,
      files: held,
      pending,
      pendingBytes,
      chunks: store?.chunks ?? 0,
      chunkBytes: store?.bytes ?? 0,
      downloads: this.#desk.downloads.counts.seen,
    };
  }

  /** @throws HeadwaterError `HW_LISTEN` */
  async start(): Promise<void> {
    const chunks = await this.#openChunks();
    try {
      await this.#start(chunks);
    } catch (error) {
      await chunks.close();
      throw error;
    }
  }

  async #openChunks(): Promise<FleetChunks> {
    const chunks = await FleetChunks.open({
      data: this.#own.data.path,
      settings: this.#options.chunks,
      inventory: this.#stock.inventory,
      desk: this.#desk,
      servers: this.#servers,
      identity: () => this.#link?.identity ?? this.#own.identity,
      state: () => this.control.state,
      onBadChunk: ({ digest, path }) => {
        this.#badChunks++;
        this.#options.log.error({ digest, path }, 'a stored chunk is bad or gone');
        this.#options.onEvent({ event: 'bad-chunk', name: digest, path });
      },
      onFault: this.#fault,
    });
    this.#chunks = chunks;
    return chunks;
  }

  async #start(chunks: FleetChunks): Promise<void> {
    const { port, address, limit, tls, log, signal, interval, onEvent } = this.#options;
    const answers = fleetAnswers({
      grants: this.#desk.check,
      downloads: this.#desk.downloads,
      reports: this.#stock.reports,
      contents: chunks.contentsWith(this.#stock.contents),
      chunks: (answering, asked) => chunks.answer(answering, asked),
      inventory: this.#stock.inventory,
      state: () => this.control.state,
      metrics: () => this.#metrics(),
    });
    const server = await FileServer.start(
      {
        id: 1,
        answer: countingRefusals(answers, this.#refusals),
        pool: new BlockPool(),
        limit,
        tls,
        grace: DRAIN_GRACE / 1000,
        times: { ...CONNECTION_TIMES, request: ARRIVAL_TIMEOUT },
        log,
        onState: ({ state }) => void (state === 'failed' && this.close('fault')),
        onFault: this.#fault,
      },
      { port: port ?? this.#own.identity?.port ?? FIRST_PORT, exact: port !== undefined },
      address,
    );
    this.#server = server;
    this.control.controls(server);
    onEvent({ event: 'listening', url: this.url, pid: process.pid });
    this.#link = new FleetLink(
      {
        fleet: this.#options,
        feedOf: this.#feedOf,
        servers: this.#servers,
        ...this.#own,
        stock: this.#stock,
        chunks: chunks.work,
        desk: this.#desk,
        control: this.control,
        pulse: () => {
          const { answers: bodies, clients, rate, bytesSent } = server.status();
          const { pulse: store } = chunks;
          return { state: this.control.state, answers: bodies, clients, rate, bytesSent, store };
        },
        onJoined: (identity) => this.#joined(identity),
        onTold: () => this.#tellWhenDone(),
        onOver: (error) => this.#end(error),
        onFault: this.#fault,
      },
      { url: this.url, port: server.port },
    );
    this.#link.start();
    this.#stock.start();
    chunks.start();
    this.#timer = setInterval(() => onEvent({ event: 'status', server: this.status() }), interval);
    signal.addEventListener('abort', this.#signalled);
    if (signal.aborted) this.#signalled();
  }

  /** Takes nothing new, lets answers finish, says farewell. Called again it cuts off at once. */
  async close(by: ChangedBy = 'console'): Promise<void> {
    if (this.#closing !== undefined) void this.#server?.end(0);
    this.control.to('stopped', by);
    await this.#closing;
  }

  readonly #signalled = (): void => this.control.to('stopped', 'signal');

  #end(why: HeadwaterError): void {
    this.#over ??= why;
    void this.close('fault');
  }

  async #close(by: ChangedBy): Promise<void> {
    await this.#server?.end();
    this.control.stopped(by);
    clearInterval(this.#timer);
    this.#options.signal.removeEventListener('abort', this.#signalled);
    await this.#link?.close();
    this.#desk.close();
    await this.#stock.close();
    await this.#chunks?.close();
    this.#ended = true;
    this.#own.state.close();
    this.#own.data.close();
    this.#options.onEvent({ event: 'end' });
    if (this.#over === undefined) this.#closed.resolve();
    else this.#closed.reject(this.#over);
  }

  #stateChanged(state: RunState, by: ChangedBy): void {
    this.#options.log.info({ state, by }, 'the state changed');
    this.#options.onEvent({ event: 'state', state, by });
    this.#link?.beat();
  }

  #joined({ id, fleet }: Identity): void {
    this.#chunks?.joined();
    if (this.#ready) return;
    this.#ready = true;
    const { name, zone, onEvent } = this.#options;
    const { url } = this;
    const informationServer = this.#servers.url;
    onEvent({ event: 'ready', id, name, zone, url, pid: process.pid, fleet, informationServer });
  }

  /** Once for each version of what is held. */
  #tellWhenDone(): void {
    const { version } = this.#stock.inventory;
    if (this.#announced === version || this.#link?.known !== version || !this.#stock.isHashed) return;
    this.#announced = version;
    this.#options.onEvent({ event: 'announced', files: this.#stock.inventory.counts().held, version });
  }

  #metrics(): string {
    return serverMetrics({
      status: this.status(),
      downloads: this.#desk.downloads.counts,
      refusals: this.#refusals,
      revoked: this.#desk.revocations.size,
      keys: this.#desk.keys.size,
      badChunks: this.#badChunks,
      readAheadBytes: this.#stock.readAhead.bytes,
      hashedBytes: this.#stock.bytesHashed,
      holdingsVersion: this.#stock.inventory.version,
      eventPosition: this.#link?.position ?? 0,
      clockAhead: this.#desk.clock.ahead / 1000,
    });
  }

  readonly #fault = (error: HeadwaterError): void => {
    // What an answer that was cut off meets when everything is closed already.
    if (this.#ended) return;
    const code = error instanceof HeadwaterError ? error.code : 'HW_INTERNAL';
    this.#options.log.error({ code, error }, error.message);
    this.#options.onEvent({ event: 'fault', code, message: error.message });
  };
}
