import { appendEvents, type NewEvent } from '../../database/append-events.ts';
import { newId } from '../../database/ids.ts';
import type { Caller } from '../authentication.ts';
import type { Context } from '../context.ts';
import type { FileFacts } from '../files/file-facts.ts';
import { fileNotFound } from '../files/file-not-found.ts';
import { listedReaders, maySeeWithoutList, readerKey } from '../files/may-see.ts';
import { perContext } from '../per-context.ts';
import { catalogueOf } from './catalogue.ts';
import { insertGrants } from './grant-store.ts';
import type { Holders } from './holders.ts';
import { forNewDownload } from './sources.ts';

/** Most grants of one transaction: what comes meanwhile waits no longer than some milliseconds. */
const MOST_BATCH = 250;

/** Who asks for which file. */
export interface GrantRequest {
  readonly caller: Caller;
  /** Digest of the token that they ask with. */
  readonly credential: string;
  readonly fileId: string;
  readonly zone: string | undefined;
  /** Seconds for which it is good. */
  readonly seconds: number;
}

/** A grant that is in the database. */
export interface Granted {
  readonly id: string;
  readonly userId: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly expiresAt: number;
  readonly file: FileFacts;
  readonly holders: Holders;
}

interface Waiting {
  readonly request: GrantRequest;
  readonly resolve: (granted: Granted) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Gives grants. Those asked for while a transaction runs go into the next one together: a commit costs the same for one
 * grant as for a hundred.
 */
class GrantBatches {
  readonly #context: Context;
  #waiting: Waiting[] = [];
  #isRunning = false;

  constructor(context: Context) {
    this.#context = context;
  }

  /** @throws HeadwaterError `HW_NOT_FOUND` (for those who may not see it, too), `HW_DATABASE` */
  give(request: GrantRequest): Promise<Granted> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ request, resolve, reject });
      if (!this.#isRunning) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, MOST_BATCH);
      try {
        await this.#giveAll(batch);
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#isRunning = false;
  }

  async #giveAll(batch: readonly Waiting[]): Promise<void> {
    const { database } = this.#context;
    const catalogue = catalogueOf(this.#context);
    const files = await catalogue.files.get(batch.map(({ request }) => request.fileId));
    const listed = await listedReaders(database.queries, pairsOf(batch, files));
    const seen = batch.flatMap((waiting) => {
      const { fileId, caller } = waiting.request;
      const file = files.get(fileId);
      const may =
        file !== undefined &&
        (maySeeWithoutList(file, caller) === true || listed.has(readerKey(fileId, caller.id)));
      if (may) return [{ waiting, file }];
      waiting.reject(fileNotFound(fileId));
      return [];
    });
    if (seen.length === 0) return;
    const holders = await catalogue.holders.get(seen.map(({ file }) => file.contentId));
    const at = this.#context.now();
    const given = seen.map(({ waiting, file }) => {
      const { caller, seconds } = waiting.request;
      const granted: Granted = {
        id: newId(at),
        userId: caller.id,
        at,
        expiresAt: at + seconds * 1000,
        file,
        holders: holders.get(file.contentId) ?? { list: [], version: '' },
      };
      return { waiting, granted };
    });
    await this.#write(given, at);
    for (const { waiting, granted } of given) waiting.resolve(granted);
  }

  async #write(
    given: readonly { readonly waiting: Waiting; readonly granted: Granted }[],
    at: number,
  ): Promise<void> {
    const { database } = this.#context;
    const rows = given.map(({ waiting: { request }, granted }) => ({
      id: granted.id,
      file_id: granted.file.id,
      user_id: granted.userId,
      credential: request.credential,
      zone: request.zone ?? null,
      created_at: at,
      expires_at: granted.expiresAt,
    }));
    const events = given.flatMap(({ waiting, granted }) => eventsOf(waiting.request, granted));
    await database.transaction(async (db) => {
      await insertGrants(db, database.kind, rows);
      await appendEvents(db, database.kind, events, at);
    });
  }
}

/** Who asks for a file that its list of readers decides about. */
function pairsOf(
  batch: readonly Waiting[],
  files: ReadonlyMap<string, FileFacts>,
): { fileId: string; userId: string }[] {
  return batch.flatMap(({ request: { fileId, caller } }) => {
    const file = files.get(fileId);
    if (file === undefined || maySeeWithoutList(file, caller) === true) return [];
    return [{ fileId, userId: caller.id }];
  });
}

function eventsOf({ caller }: GrantRequest, { id, file, holders, expiresAt }: Granted): NewEvent[] {
  const servers = forNewDownload(holders.list).map((holder) => holder.id);
  return [
    {
      kind: 'download.granted',
      audience: { servers },
      data: {
        grant: id,
        file: file.id,
        manifest: file.manifestSha256,
        user: caller.id,
        expiresAt: new Date(expiresAt).toISOString(),
      },
    },
    {
      kind: 'download.started',
      audience: 'people',
      data: { download: id, file: file.id, name: file.name, user: caller.email, servers: servers.length },
    },
  ];
}

export const grantsOf = perContext((context) => new GrantBatches(context));
