import { availableParallelism } from 'node:os';

import { HeadwaterError } from '../core/errors.ts';
import { answersFrom } from './answer.ts';
import { BlockPool } from './block-pool.ts';
import { ControlServer } from './control.ts';
import { DigestCache } from './digests/digest-cache.ts';
import { DigestService, type HashingState } from './digests/digest-service.ts';
import { FileServer } from './file-server.ts';
import { findRoots } from './find-roots.ts';
import { FolderStore } from './folder-store.ts';
import { CONNECTION_TIMES } from './http-server.ts';
import { MOST_HASHED_AT_ONCE } from './limits.ts';
import type { ServeEvent, ServeOptions, Serving } from './serve-types.ts';
import { normaliseServeOptions, type ServeSettings } from './serve-options.ts';

/**
 * Serves files, and the files of folders, in place. Resolves when all servers listen; digests are still being computed
 * then (`hashed`), and a file is answered with 503 until its own are known.
 *
 * @param paths files, served under their names, and folders, whose files are served under their paths below them.
 * @throws HeadwaterError `HW_USAGE`, `HW_LISTEN` (none of the servers is left listening then), `HW_INTERRUPTED`
 */
export async function serve(paths: readonly string[], options: ServeOptions = {}): Promise<Serving> {
  const settings = normaliseServeOptions(options);
  const roots = await findRoots(paths);
  const isStopped = () => settings.signal?.aborted === true;
  if (isStopped()) throw new HeadwaterError('HW_INTERRUPTED', 'serving was stopped before it began');
  const serving = new FilesBeingServed(settings, (digests) => new FolderStore(roots, digests));
  try {
    await serving.start();
  } catch (error) {
    await serving.close(0);
    throw error;
  }
  return serving;
}

/** Files hashed at once: each keeps two threads busy. */
function hashedAtOnce(): number {
  return Math.max(1, Math.min(MOST_HASHED_AT_ONCE, Math.floor(availableParallelism() / 2)));
}

class FilesBeingServed implements Serving {
  readonly servers: FileServer[] = [];
  readonly hashed: Promise<void>;
  readonly closed: Promise<void>;
  readonly #settings: ServeSettings;
  readonly #digests: DigestService;
  readonly #store: FolderStore;
  readonly #pool = new BlockPool();
  readonly #hashed = Promise.withResolvers<void>();
  readonly #closed = Promise.withResolvers<void>();
  #timer: NodeJS.Timeout | undefined;
  #control: ControlServer | undefined;
  #started = false;
  #closing: Promise<void> | undefined;

  constructor(settings: ServeSettings, storeOn: (digests: DigestService) => FolderStore) {
    this.#settings = settings;
    const cache = settings.cache === false ? undefined : new DigestCache(settings.cache);
    void cache?.prune();
    this.#digests = new DigestService({
      cache,
      atOnce: hashedAtOnce(),
      onFault: (error) => this.#fault(error),
    });
    this.#store = storeOn(this.#digests);
    this.hashed = this.#hashed.promise;
    this.closed = this.#closed.promise;
  }

  get control(): string | undefined {
    return this.#control?.url;
  }

  get hashing(): HashingState {
    return this.#digests.state;
  }

  async start(): Promise<void> {
    const { ports, address, limit, tls, grace, log, signal, interval, onEvent } = this.#settings;
    for (const [index, port] of ports.entries()) {
      const server = await FileServer.start(
        {
          id: index + 1,
          answer: answersFrom(this.#store),
          pool: this.#pool,
          limit,
          tls,
          grace,
          times: CONNECTION_TIMES,
          log,
          onState: (changed) => this.#stateChanged(changed),
          onFault: (error, at) => this.#fault(error, at.id),
        },
        port,
        address,
      );
      this.servers.push(server);
    }
    const { control } = this.#settings;
    if (control !== undefined) {
      this.#control = await ControlServer.start({ ...control, servers: this.servers, address, tls });
    }
    this.#started = true;
    void this.#prepare();
    const { files } = await this.#store.list();
    this.#emit({
      event: 'ready',
      servers: this.servers.map((each) => each.status()),
      names: files.map(({ name }) => name),
      ...(this.control !== undefined && { control: this.control }),
    });
    if (onEvent !== undefined) this.#timer = setInterval(() => this.#emitStatus(), interval);
    signal?.addEventListener('abort', this.#stop);
    if (signal?.aborted === true) this.#stop();
  }

  close(grace?: number): Promise<void> {
    const ends = this.servers.map((server) => server.end(grace));
    this.#closing ??= this.#close(ends);
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close(0);
  }

  readonly #stop = (): void => {
    void this.close();
  };

  async #prepare(): Promise<void> {
    await this.#store.prepare();
    this.#hashed.resolve();
  }

  async #close(ends: readonly Promise<void>[]): Promise<void> {
    await Promise.all(ends);
    clearInterval(this.#timer);
    this.#settings.signal?.removeEventListener('abort', this.#stop);
    this.#store.close();
    await Promise.all([this.#digests.close(), this.#control?.close()]);
    this.#hashed.resolve();
    if (this.#started) this.#emit({ event: 'end', servers: this.servers.map((each) => each.status()) });
    this.#closed.resolve();
  }

  #stateChanged(server: FileServer): void {
    const { id, url, state } = server;
    this.#emit({ event: 'state', id, url, state });
    const isOver = this.servers.every((each) => each.state === 'ended' || each.state === 'failed');
    if (isOver && this.#started) void this.close(0);
  }

  #fault(error: unknown, id?: number): void {
    const known = error instanceof HeadwaterError ? error : undefined;
    const code = known?.code ?? 'HW_INTERNAL';
    const message = error instanceof Error ? error.message : String(error);
    this.#settings.log.error({ server: id, code, error }, message);
    this.#emit({ event: 'fault', ...(id !== undefined && { id }), code, message });
  }

  #emitStatus(): void {
    this.#emit({
      event: 'status',
      servers: this.servers.map((each) => each.status()),
      hashing: this.hashing,
    });
  }

  #emit(event: ServeEvent): void {
    this.#settings.onEvent?.(event);
  }
}
